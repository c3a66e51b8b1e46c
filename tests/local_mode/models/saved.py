"""Models as their families save them: each function fills a folder."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import faiss
import joblib
import numpy as np
import xgboost
from sagelocal_blazingtext.word_vectors import WordVectors, write_binary, write_text
from sagelocal_factorization_machines import model as factors
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.mxnet_symbol import SymbolBuilder
from sagelocal_kmeans.model import Clusters
from sagelocal_knn.model import Model as Neighbours
from sagelocal_linear_learner import artifact as linear
from sagelocal_linear_learner.model import LinearModel
from sagelocal_pca.model import Projector
from sagelocal_random_cut_forest import model as forests
from sagelocal_random_cut_forest.cutting import Cuts
from sagelocal_random_cut_forest.forest import Forest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ARCHIVE = "model_algo-1"


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def linear_learner(folder: Path) -> None:
    model = LinearModel("binary_classifier", floats(1, 4), floats(1), "sigmoid", 0.3)
    linear.save(model, folder / ARCHIVE)


def factorization_machines(folder: Path) -> None:
    model = factors.FactorModel(False, floats(1), floats(5), floats(5, 2))
    factors.save(model, folder / ARCHIVE, {"predictor_type": "regressor", "num_factors": "2"})


def pca(folder: Path) -> None:
    Projector(floats(4), floats(4, 2), np.array([1, 2], np.float32)).save(folder / ARCHIVE)


def kmeans(folder: Path) -> None:
    Clusters(floats(3, 4)).save(folder / ARCHIVE)


def knn(folder: Path) -> None:
    index = faiss.IndexFlatL2(4)
    index.add(floats(10, 4))
    labels = np.arange(10, dtype=np.float32) % 2
    Neighbours(index, labels, 3, "classifier").save(folder / ARCHIVE)


def knn_in_lists(folder: Path) -> None:
    quantizer = faiss.IndexFlatL2(4)
    index = faiss.IndexIVFFlat(quantizer, 4, 5)
    index.cp.min_points_per_centroid = 1
    index.train(floats(50, 4))
    index.add(floats(50, 4))
    index.nprobe = 2
    Neighbours(index, np.zeros(50, np.float32), 3, "regressor").save(folder / ARCHIVE)


def random_cut_forest(folder: Path) -> None:
    cuts = Cuts(
        roots=np.array([0], np.int32),
        dimensions=np.array([0], np.int32),
        places=np.array([0.5], np.float32),
        children=np.array([[-1, -2]], np.int32),
        points=np.array([[0, 1], [1, 1]], np.float32),
        masses=np.array([1, 1], np.int32),
    )
    forests.save(Forest.of(cuts, 2), folder / ARCHIVE)


def booster(objective: str = "reg:squarederror", **parameters: object) -> xgboost.Booster:
    rows, rng = floats(200, 4), np.random.default_rng(0)
    labels = rng.integers(0, 2, 200) if objective.startswith("binary") else rows[:, 0]
    data = xgboost.DMatrix(rows, labels)
    given = {"objective": objective, "max_depth": 3, "nthread": 1, **parameters}
    return xgboost.train(given, data, 5)


def xgboost_ubj(folder: Path) -> None:
    (folder / "xgboost-model").write_bytes(booster().save_raw("ubj"))


def xgboost_json(folder: Path) -> None:
    (folder / "xgboost-model").write_bytes(booster().save_raw("json"))


def xgboost_pickle(folder: Path) -> None:
    (folder / "xgboost-model").write_bytes(pickle.dumps(booster()))


def xgboost_wrapper(folder: Path) -> None:
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1)
    model.fit(floats(50, 4), np.arange(50) % 2)
    joblib.dump(model, folder / "model.joblib")


def xgboost_linear(folder: Path) -> None:
    (folder / "xgboost-model").write_bytes(booster(booster="gblinear", verbosity=0).save_raw("ubj"))


def word_vectors(folder: Path) -> None:
    vectors = WordVectors(["the", "cat", "sat"], floats(3, 5))
    write_text(vectors, folder / "vectors.txt")
    write_binary(vectors, folder / "vectors.bin")
    (folder / "eval.json").write_text('{"mean_rho": 0.5}')


def scikit_learn(folder: Path) -> None:
    rows, labels = floats(60, 4), np.arange(60) % 3
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(rows, labels)
    joblib.dump(model, folder / "model.joblib", compress=3)


def scikit_learn_pickle(folder: Path) -> None:
    model = LogisticRegression().fit(floats(60, 4), np.arange(60) % 2)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def random_forest(folder: Path) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(floats(60, 4), np.arange(60) % 2)
    joblib.dump(model, folder / "model.joblib")


def mxnet(folder: Path, prefix: str = "model") -> None:
    builder = SymbolBuilder()
    data = builder.variable("data")
    names = ("c_weight", "c_bias")
    convolved = builder.operator(
        "Convolution",
        "c",
        [data, *map(builder.variable, names)],
        {"kernel": "(3, 3)", "num_filter": "2", "stride": "(2, 2)", "pad": "(1, 1)"},
    )
    active = builder.operator("Activation", "a", [convolved], {"act_type": "relu"})
    flat = builder.operator("Flatten", "f", [active])
    full = builder.operator(
        "FullyConnected",
        "fc",
        [flat, *map(builder.variable, ("fc_weight", "fc_bias"))],
        {"num_hidden": "3"},
    )
    out = builder.operator("SoftmaxOutput", "softmax", [full, builder.variable("softmax_label")])
    (folder / f"{prefix}-symbol.json").write_text(builder.build([out]).dumps())
    arrays = {
        "arg:c_weight": floats(2, 1, 3, 3),
        "arg:c_bias": floats(2),
        "arg:fc_weight": floats(3, 32),
        "arg:fc_bias": floats(3),
    }
    mxnet_ndarray.save(folder / f"{prefix}-0007.params", arrays)


def image_classification(folder: Path) -> None:
    mxnet(folder, "image-classification")
    shapes = [{"name": "data", "shape": [32, 1, 8, 8]}]
    (folder / "model-shapes.json").write_text(json.dumps(shapes))


def deepar(folder: Path) -> None:
    mxnet(folder, "model_algo-1")
    (folder / "model_algo-1-config.json").write_text('{"context_length": 5, "time_freq": "D"}')


def hugging_face(folder: Path) -> None:
    config = {"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 2}
    (folder / "config.json").write_text(json.dumps(config))
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "BF16", "shape": [1], "data_offsets": [8, 10]},
    }
    text = json.dumps(header).encode()
    content = np.array([1.5, -2], "<f4").tobytes() + b"\x80\x3f"
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content)


Saver = Callable[[Path], None]

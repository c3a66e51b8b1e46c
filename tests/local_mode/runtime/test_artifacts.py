"""Which family a model is of: real files, by the declarations of the families that there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import joblib
import numpy as np
import pytest
import xgboost
from sagelocal.runtime.artifacts import Artifact, Guess, NoGuess, guess, read_artifacts
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault
from sagelocal_deepar.artifact import save_config
from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.shape import Shape
from sagelocal_factorization_machines.model import FactorModel
from sagelocal_factorization_machines.model import save as save_factors
from sagelocal_kmeans.model import Clusters
from sagelocal_knn.model import Model as KnnModel
from sagelocal_linear_learner import artifact as linear_learner
from sagelocal_linear_learner.model import LinearModel
from sagelocal_pca.model import Projector
from sagelocal_random_cut_forest import model as random_cut_forest
from sagelocal_random_cut_forest.cutting import grow
from sagelocal_random_cut_forest.forest import Forest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FAMILIES = ImageCatalog.load().families
ROWS, LABELS = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0, 1, 1, 0]


def sklearn_model() -> Any:
    return make_pipeline(StandardScaler(), LinearRegression()).fit(ROWS, LABELS)


def xgboost_model() -> Any:
    return xgboost.XGBClassifier(n_estimators=2).fit(np.array(ROWS), LABELS)


def save_forecaster(folder: Path) -> None:
    """A configuration of DeepAR, beside a network as MXNet has it."""
    shape = Shape(Frequency.parse("H"), 1, 1, "gaussian", lags=(1,), scale_length=1)
    save_config(folder / "model_algo-1", shape)
    (folder / "model_algo-1-symbol.json").write_text("{}")


Save = Callable[[Path], object]
MODELS: dict[str, tuple[str, Save]] = {
    "joblib": ("scikit-learn", lambda d: joblib.dump(sklearn_model(), d / "rents.joblib")),
    "pickle": ("scikit-learn", lambda d: joblib.dump(sklearn_model(), d / "model.pkl")),
    "zlib": ("scikit-learn", lambda d: joblib.dump(sklearn_model(), d / "m.pkl", compress=3)),
    "xz": (
        "scikit-learn",
        lambda d: joblib.dump(sklearn_model(), d / "m.joblib", compress=("xz", 3)),
    ),
    "XGBClassifier": ("xgboost", lambda d: joblib.dump(xgboost_model(), d / "model.joblib")),
    "Booster": ("xgboost", lambda d: joblib.dump(xgboost_model().get_booster(), d / "m.pkl")),
    "UBJ": ("xgboost", lambda d: xgboost_model().save_model(d / "churn.ubj")),
    "JSON": ("xgboost", lambda d: xgboost_model().save_model(d / "churn.json")),
    "by name": ("xgboost", lambda d: (d / "xgboost-model").write_bytes(b"\0binf")),
    "word vectors": ("blazingtext", lambda d: (d / "vectors.txt").write_text("1 1\na 0\n")),
    "text": ("blazingtext", lambda d: (d / "model.bin").write_bytes(b"\xba\x16O/")),
    "network": ("mxnet", lambda d: (d / "model-symbol.json").write_text("{}")),
    "classes of images": (
        "image-classification",
        lambda d: (d / "image-classification-symbol.json").write_text("{}"),
    ),
    "forecasts": ("deepar", lambda d: save_forecaster(d)),
    "SavedModel": ("tensorflow", lambda d: (d / "saved_model.pb").write_bytes(b"")),
    "MLeap": ("sparkml-serving", lambda d: (d / "bundle.json").write_text('{"format": "json"}')),
    "not known": ("scikit-learn", lambda d: joblib.dump({"a": 1}, d / "model.joblib")),
}


@pytest.mark.parametrize(("family", "save"), MODELS.values(), ids=MODELS)
def test_a_model_tells_its_family(family: str, save: Save, tmp_path: Path) -> None:
    save(tmp_path)

    assert guess(FAMILIES, tmp_path).family == family


BUILT_IN: dict[str, Save] = {
    "knn": KnnModel(faiss.IndexFlatL2(2), np.zeros(0, np.float32), 1, "classifier").save,
    "kmeans": Clusters(np.eye(3, dtype=np.float32)).save,
    "pca": Projector.of(np.zeros(3), np.eye(3), np.ones(3)).save,
    "random-cut-forest": lambda archive: random_cut_forest.save(
        Forest.of(grow(np.eye(3, dtype=np.float32), 1, seed=0), 3), archive
    ),
    "linear-learner": lambda archive: linear_learner.save(
        LinearModel("regressor", np.ones((1, 2), np.float32), np.ones(1, np.float32), "identity"),
        archive,
    ),
    "factorization-machines": lambda archive: save_factors(
        FactorModel(False, *(np.zeros(n, np.float32) for n in (1, 2, (2, 3)))), archive, {}
    ),
}


@pytest.mark.parametrize(("family", "save"), BUILT_IN.items(), ids=BUILT_IN)
def test_the_built_in_algorithms_are_told_apart(family: str, save: Save, tmp_path: Path) -> None:
    save(tmp_path / "model_algo-1")

    assert guess(FAMILIES, tmp_path).family == family


def test_the_guess_names_the_file_and_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    joblib.dump(sklearn_model(), tmp_path / "out" / "rents.pkl")

    assert guess(FAMILIES, tmp_path) == Guess(
        "scikit-learn", "out/rents.pkl", "a pickled scikit-learn model"
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "The model holds nothing, which does not say what made it"),
        (("notes.md", "weights.bin"), "The model holds notes.md, weights.bin, which does not say"),
        (("code/inference.py", "a.bin"), "The model holds a.bin beside code/, which does not say"),
        (("code/model.joblib",), "The model holds nothing beside code/"),
        (("model.onnx",), "model.onnx is a model of ONNX, which no image here claims"),
        (("out/model.keras",), "model.keras is a model of Keras"),
    ],
)
def test_what_says_nothing_is_said_with_the_next_step(
    names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    with pytest.raises(NoGuess) as refused:
        guess(FAMILIES, tmp_path)

    assert said in str(refused.value)
    assert "Name the image with --image" in str(refused.value)


def test_of_two_families_none_is_guessed(tmp_path: Path) -> None:
    joblib.dump(sklearn_model(), tmp_path / "scaler.joblib")
    xgboost_model().save_model(tmp_path / "churn.ubj")

    with pytest.raises(NoGuess) as refused:
        guess(FAMILIES, tmp_path)

    assert "scikit-learn (scaler.joblib: a scikit-learn model that joblib" in str(refused.value)
    assert "xgboost (churn.ubj: a model that XGBoost saved)" in str(refused.value)


@pytest.mark.parametrize("content", [b"\x78\x9c no zlib", b"\xfd7zXZ no xz", b"BZ", b""])
def test_a_file_that_only_begins_as_a_compressed_one_is_read_as_it_is(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model.joblib").write_bytes(content)

    assert guess(FAMILIES, tmp_path).says == "an object that joblib saved"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"files": ["*.x"], "says": "x"}, "two brackets"),
        ([{"says": "x"}], "files = None"),
        ([{"files": "*.x", "says": "x"}], "files = '*.x'"),
        ([{"files": ["*.x"]}], "says = None"),
        ([{"files": ["*.x"], "says": "x", "name": "y"}], "name = 'y'"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_named(tables: Any, said: str) -> None:
    with pytest.raises(RuntimeFault) as refused:
        read_artifacts(Path("image.toml"), {"artifact": tables})

    assert said in str(refused.value)


def test_what_is_written_in_a_file_counts_more_than_its_name() -> None:
    by_content = Artifact(("*",), "x", contains="y")
    by_name, by_ending = Artifact(("model",), "x"), Artifact(("*.pkl",), "x")

    assert by_content.rank > by_name.rank > by_ending.rank

"""`sagelocal model inspect`: every family is known by its files, and what is in them is told."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.mxnet_ndarray import RowSparseArray

from tests.local_mode.models import saved
from tests.local_mode.models.conftest import GOLDEN, Command

XGBOOST_GOLDEN = Path(__file__).parents[2] / "containers" / "xgboost" / "artifacts"

FAMILIES: dict[saved.Saver, tuple[str, str, dict[str, Any]]] = {
    saved.linear_learner: (
        "linear-learner",
        "a Linear Learner binary classifier",
        {"features": 4, "outputs": 1, "link": "sigmoid", "threshold": 0.3},
    ),
    saved.factorization_machines: (
        "factorization-machines",
        "a Factorization Machines regressor",
        {"features": 5, "factors": 2},
    ),
    saved.pca: ("pca", "a PCA", {"features": 4, "components": 2}),
    saved.kmeans: ("kmeans", "a K-Means model", {"clusters": 3, "features": 4}),
    saved.knn: (
        "knn",
        "a k-NN classifier",
        {"k": 3, "rows": 10, "features": 4, "index_type": "faiss.Flat", "index_metric": "L2"},
    ),
    saved.knn_in_lists: (
        "knn",
        "a k-NN regressor",
        {"rows": 50, "index_type": "faiss.IVFFlat", "lists": 5, "probed_lists": 2},
    ),
    saved.random_cut_forest: (
        "random-cut-forest",
        "a Random Cut Forest",
        {"trees": 1, "points_per_tree": 2, "features": 2, "leaves": 2},
    ),
    saved.xgboost_ubj: (
        "xgboost",
        "an XGBoost model (reg:squarederror)",
        {"features": 4, "trees": 5, "booster": "gbtree"},
    ),
    saved.xgboost_json: (
        "xgboost",
        "an XGBoost model (reg:squarederror)",
        {"features": 4, "trees": 5, "booster": "gbtree"},
    ),
    saved.xgboost_pickle: (
        "xgboost",
        "an XGBoost model (reg:squarederror)",
        {"features": 4, "trees": 5, "booster": "gbtree"},
    ),
    saved.xgboost_wrapper: (
        "xgboost",
        "an XGBoost model (binary:logistic)",
        {"features": 4, "trees": 5},
    ),
    saved.xgboost_linear: (
        "xgboost",
        "an XGBoost model (reg:squarederror)",
        {"booster": "gblinear"},
    ),
    saved.word_vectors: (
        "blazingtext",
        "BlazingText: vectors of words",
        {"words": 3, "dimensions": 5, "evaluation": {"mean_rho": 0.5}},
    ),
    saved.scikit_learn: (
        "scikit-learn",
        "a pickled Pipeline of scikit-learn",
        {"steps": ["standardscaler: StandardScaler", "logisticregression: LogisticRegression"]},
    ),
    saved.scikit_learn_pickle: (
        "scikit-learn",
        "a pickled LogisticRegression of scikit-learn",
        {"features": 4},
    ),
    saved.random_forest: (
        "scikit-learn",
        "a pickled RandomForestClassifier of scikit-learn",
        {"features": 4},
    ),
    saved.mxnet: ("mxnet", "an MXNet network", {"operators": 5, "mxnet_version": "1.9.1"}),
    saved.image_classification: (
        "image-classification",
        "an Image Classification network",
        {"inputs": {"data": "N x 1 x 8 x 8"}},
    ),
    saved.deepar: ("deepar", "a DeepAR network", {"operators": 5}),
    saved.hugging_face: (
        "hugging-face",
        "a Hugging Face model (BertForMaskedLM)",
        {"architectures": ["BertForMaskedLM"]},
    ),
}


def made(saver: saved.Saver, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    saver(folder)
    return folder


@pytest.mark.parametrize("saver", FAMILIES, ids=lambda saver: saver.__name__)
def test_a_model_is_known_by_its_files(
    saver: saved.Saver, command: Command, tmp_path: Path, archived: Callable[[Path], Path]
) -> None:
    family, says, facts = FAMILIES[saver]
    found = command.inspect(archived(made(saver, tmp_path)))
    assert (family, says) == (found["family"], found["says"])
    assert facts == {name: found["facts"].get(name) for name in facts}


def test_the_installed_command_reads_an_archive(
    tmp_path: Path, archived: Callable[[Path], Path]
) -> None:
    path = archived(made(saved.linear_learner, tmp_path))
    program = Path(sys.executable).with_name("sagelocal")
    done = subprocess.run([program, "model", "inspect", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A Linear Learner binary classifier, by model_algo-1\n")


def test_parameters_have_shapes_types_and_statistics(command: Command, tmp_path: Path) -> None:
    found = command.inspect(made(saved.pca, tmp_path))
    arrays = {array["name"]: array for array in found["arrays"]}
    assert set(arrays) == {"mean", "v", "s"}
    components = saved.floats(4, 2).astype(np.float64)
    told = arrays["v"]
    assert (told["shape"], told["dtype"], told["count"], told["bytes"]) == (
        [4, 2],
        "float32",
        8,
        32,
    )
    expected = [components.min(), components.max(), components.mean(), components.std()]
    statistics = [told["statistics"][name] for name in ("min", "max", "mean", "std")]
    np.testing.assert_allclose(statistics, expected, rtol=1e-6)
    assert found["parameters"] == 4 + 8 + 2


def test_numbers_that_are_not_finite_are_counted_and_left_out(
    command: Command, tmp_path: Path
) -> None:
    array = np.array([[np.nan, np.inf, 0, 2]], np.float32)
    mxnet_ndarray.save(tmp_path / "model_algo-1", [array])
    (told,) = command.inspect(tmp_path)["arrays"]
    assert told["statistics"] == {
        "min": 0.0,
        "max": 2.0,
        "mean": 1.0,
        "std": 1.0,
        "zeros": 1,
        "not_finite": 2,
    }


def test_a_sparse_array_of_a_claimed_size_is_not_filled(command: Command, tmp_path: Path) -> None:
    rows = np.array([1, 3])
    small, huge = (RowSparseArray((n, 2), np.ones((2, 2), "f4"), rows) for n in (4, 1 << 50))
    mxnet_ndarray.save(tmp_path / "net.params", {"arg:small": small, "arg:huge": huge})
    found = {array["name"]: array for array in command.inspect(tmp_path)["arrays"]}
    assert found["small"]["statistics"]["zeros"] == 4
    assert found["huge"]["bytes"] == 16
    assert found["huge"]["not_read"].startswith("it is sparse, and with its zeros it takes ")


def test_hyperparameters_are_told_where_a_model_holds_them(
    command: Command, tmp_path: Path
) -> None:
    folder = made(saved.factorization_machines, tmp_path)
    told = command.inspect(folder)["hyperparameters"]
    assert told == {"predictor_type": "regressor", "num_factors": "2"}


def test_a_pickled_booster_has_what_it_was_trained_with(command: Command, tmp_path: Path) -> None:
    told = command.inspect(made(saved.xgboost_pickle, tmp_path))["hyperparameters"]
    assert told["max_depth"] == "3"


def test_a_booster_tells_the_same_in_each_form(command: Command, tmp_path: Path) -> None:
    found = []
    for saver in (saved.xgboost_ubj, saved.xgboost_json, saved.xgboost_pickle):
        folder = tmp_path / saver.__name__
        folder.mkdir()
        saver(folder)
        told = command.inspect(folder)
        found.append((told["facts"], told["arrays"]))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("version", ["0.90", "1.3.3", "1.7.6", "2.1.4"])
def test_boosters_of_early_versions_are_read(command: Command, version: str) -> None:
    for path in sorted((XGBOOST_GOLDEN / version).glob("regression.*")):
        found = command.inspect(path)
        assert found["family"] == "xgboost", path
        assert found["facts"]["objective"] == "reg:squarederror"
        assert (found["facts"]["features"], found["facts"]["trees"]) == (4, 3)
        nodes = next(each for each in found["arrays"] if each["name"] == "nodes_per_tree")
        assert nodes["shape"] == [3]
        assert found["facts"]["nodes"] == nodes["statistics"]["mean"] * 3


def test_the_weights_of_an_early_linear_booster_are_read(command: Command) -> None:
    found = command.inspect(XGBOOST_GOLDEN / "1.3.3" / "linear.model")
    assert [each["shape"] for each in found["arrays"]] == [[5]]
    assert found["facts"]["xgboost_version"] == "1.7 or before"


def test_an_estimator_in_a_pickle_has_its_settings_and_arrays(
    command: Command, tmp_path: Path
) -> None:
    found = command.inspect(made(saved.scikit_learn, tmp_path))
    names = [array["name"] for array in found["arrays"]]
    assert ".steps.logisticregression.coef_" in names
    folder = tmp_path / "pickle"
    folder.mkdir()
    saved.scikit_learn_pickle(folder)
    assert command.inspect(folder)["hyperparameters"]["C"] == 1.0


def test_a_fasttext_model_tells_its_words_and_settings(command: Command, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("__label__a the cat sat\n__label__b a dog ran far\n" * 20)
    model = fasttext.train_supervised(
        str(text), dim=6, epoch=2, minCount=1, bucket=10, wordNgrams=2, thread=1, verbose=0
    )
    model.save_model(str(tmp_path / "model.bin"))
    found = command.inspect(tmp_path / "model.bin")
    assert found["family"] == "blazingtext"
    facts, told = found["facts"], found["hyperparameters"]
    assert (facts["words"], facts["labels"], facts["mode"]) == (8, 2, "supervised")
    assert set(facts["first_labels"]) == {"__label__a", "__label__b"}
    assert (told["vector_dim"], told["epochs"], told["buckets"]) == (6, 2, 10)
    arrays = {array["name"]: array for array in found["arrays"]}
    assert arrays["input"]["shape"] == [18, 6]
    assert arrays["output"]["shape"] == [2, 6]
    assert arrays["input"]["statistics"]["max"] == pytest.approx(model.get_input_matrix().max())


@pytest.mark.parametrize("name", ["state.pt", "old.pt", "script.pt"])
def test_tensors_of_pytorch_are_read_without_it(command: Command, name: str) -> None:
    found = command.inspect(GOLDEN / name)
    assert found["family"] == "pytorch"
    arrays = {array["name"]: array for array in found["arrays"]}
    weight = arrays["0.weight"]
    assert (weight["shape"], weight["dtype"], weight["statistics"]["mean"]) == (
        [2, 3],
        "float32",
        2.5,
    )
    if name != "script.pt":
        assert arrays["half"]["statistics"]["mean"] == 1.0
        assert arrays["turned"]["shape"] == [3, 2]


def test_signatures_and_variables_of_a_saved_model_are_read(command: Command) -> None:
    found = command.inspect(GOLDEN / "line")
    assert (found["family"], found["facts"]["tags"]) == ("tensorflow", ["serve"])
    signature = found["facts"]["signatures"]["serving_default"]
    assert signature["inputs"] == {"rows": "float32 (?, 2)"}
    assert signature["outputs"] == {"score": "float32 (?, 1)"}
    slope = next(array for array in found["arrays"] if array["name"].startswith("slope"))
    assert (slope["shape"], slope["statistics"]["mean"]) == ([2, 1], 2.5)


def test_the_network_of_a_saved_model_is_what_its_signature_calls(command: Command) -> None:
    network = command.inspect(GOLDEN / "line")["network"]
    assert network["inputs"] == {"rows": [None, 2]}
    assert network["outputs"] == ["add"]
    multiplied, added = network["operators"]
    assert (multiplied["operator"], multiplied["inputs"]) == ("MatMul", ["rows"])
    assert multiplied["parameters"] == {"slope": [2, 1]}
    assert (added["operator"], added["inputs"]) == ("AddV2", ["matmul"])
    assert (added["parameters"], added["shape"]) == ({"offset": [1]}, [None, 1])


def test_a_network_has_layers_and_the_shapes_between_them(command: Command, tmp_path: Path) -> None:
    network = command.inspect(made(saved.image_classification, tmp_path))["network"]
    assert network["inputs"] == {"data": [None, 1, 8, 8]}
    shapes = {each["name"]: each["shape"] for each in network["operators"]}
    assert shapes == {
        "c": [None, 2, 4, 4],
        "a": [None, 2, 4, 4],
        "f": [None, 32],
        "fc": [None, 3],
        "softmax": [None, 3],
    }
    assert network["outputs"] == ["softmax"]


MXNET_NETWORK = """
import json, mxnet as mx
data = mx.sym.var("data")
net = mx.sym.Convolution(data, kernel=(3, 3), num_filter=4, stride=(2, 2), name="conv")
net = mx.sym.BatchNorm(net, name="norm")
net = mx.sym.Activation(net, act_type="relu", name="relu")
side = mx.sym.Convolution(net, kernel=(1, 1), num_filter=4, name="side")
net = mx.sym.elemwise_add(net, side, name="sum")
pooled = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pooling_convention="full", name="full")
other = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg", pad=(1, 1), name="valid")
up = mx.sym.Deconvolution(net, kernel=(2, 2), stride=(2, 2), num_filter=3, name="up")
both = mx.sym.Concat(mx.sym.Flatten(pooled), mx.sym.Flatten(other), dim=1, name="concat")
wide = mx.sym.Reshape(both, shape=(0, -1, 2), name="reshape")
turned = mx.sym.transpose(wide, axes=(0, 2, 1), name="transpose")
mean = mx.sym.mean(turned, axis=1, name="mean")
parts = mx.sym.SliceChannel(up, num_outputs=3, name="split")
sliced = mx.sym.slice_axis(parts[1], axis=2, begin=1, end=5, name="slice")
wider = mx.sym.expand_dims(sliced, axis=1, name="expand")
last = mx.sym.FullyConnected(mean, num_hidden=5, name="fc")
net = mx.sym.Group([mx.sym.softmax(last, name="softmax"), wider])
module = mx.mod.Module(net, label_names=None)
module.bind([("data", (7, 3, 17, 15))], for_training=False)
module.init_params()
module.save_checkpoint("net", 3)
inner = net.get_internals()
shapes = dict(zip(inner.list_outputs(), inner.infer_shape(data=(7, 3, 17, 15))[1]))
json.dump([{"name": "data", "shape": [7, 3, 17, 15]}], open("model-shapes.json", "w"))
json.dump(shapes, open("expected", "w"))
"""


def test_shapes_are_those_that_mxnet_infers(
    command: Command, tmp_path: Path, mxnet_python: Path
) -> None:
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", MXNET_NETWORK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = json.loads((tmp_path / "expected").read_text())
    found = command.inspect(tmp_path)
    assert found["facts"]["parameters_file"] == "net-0003.params"
    for each in found["network"]["operators"]:
        output = f"{each['name']}_output" + ("0" if each["name"] == "split" else "")
        # How many rows there are, no model says.
        assert each["shape"] == [None, *expected[output][1:]], each["name"]


def test_a_network_is_drawn(command: Command, tmp_path: Path) -> None:
    picture = tmp_path / "network.svg"
    done = command("inspect", made(saved.mxnet, tmp_path), "--svg", picture)
    assert done.exit_code == 0, done.output
    texts = [each.text for each in ET.parse(picture).iter() if each.tag.endswith("text")]
    for name in ("data", "c", "a", "f", "fc", "softmax"):
        assert name in texts
    assert "Convolution num_filter=2 kernel=(3, 3) stride=(2, 2)" in texts


def test_a_model_without_a_network_is_not_drawn(command: Command, tmp_path: Path) -> None:
    folder = made(saved.pca, tmp_path)
    assert "has no network" in command.refusal("inspect", folder, "--svg", tmp_path / "a.svg")


def test_the_table_tells_what_json_does(command: Command, tmp_path: Path) -> None:
    done = command("inspect", made(saved.mxnet, tmp_path))
    assert done.exit_code == 0
    assert done.stdout.startswith("An MXNet network, by model-symbol.json\n")
    assert "  fc_weight  3 x 32         float32       96" in done.stdout
    assert "  softmax (output)  SoftmaxOutput   fc    N x 3" in done.stdout


def test_a_model_of_no_known_kind_says_what_it_holds_and_the_next_step(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "weights.dat").write_bytes(b"1234")
    found = command.inspect(tmp_path)
    assert found["family"] is None
    assert found["says"] == "a model of no kind that is known here"
    assert "it holds weights.dat" in found["notes"][0]
    assert "--image" in found["notes"][0]


def test_what_a_user_pickled_is_told_by_its_class(command: Command, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"rate": 0.5}))
    found = command.inspect(tmp_path)
    assert (found["family"], found["says"]) == (None, "a pickled dict")


def test_a_model_in_s3_is_inspected(
    aws: Callable[..., Any],
    plane: Any,
    command: Command,
    tmp_path: Path,
    archived: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = archived(made(saved.kmeans, tmp_path))
    aws("s3").create_bucket(Bucket="models")
    aws("s3").upload_file(str(path), "models", "job/output/model.tar.gz")
    for name, value in {
        "AWS_ENDPOINT_URL": plane.url,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    done = command("inspect", "s3://models/job/output/model.tar.gz")
    assert done.stdout.startswith("A K-Means model, by model_algo-1\n"), done.output
    said = command.refusal("inspect", "s3://models/job/output/other.tar.gz")
    assert "404" in said

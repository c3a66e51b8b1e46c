"""The artifact: what MXNet makes of ours, and what we make of models that MXNet wrote."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sagelocal_first_party import ArtifactError
from sagelocal_linear_learner import artifact
from sagelocal_linear_learner.model import LinearModel, Link
from sagelocal_linear_learner.settings import PredictorType

ROWS = np.array([[1.5, -200.0], [0.25, 1000.0], [3.0, 0.0]], np.float32)

#: Every way to load the unpacked archive that notebooks use.
LOADERS = {
    "imports": """
net = mx.gluon.SymbolBlock.imports("mx-mod-symbol.json", ["data"], "mx-mod-0000.params")
answer = net(mx.nd.array(rows))
""",
    "imports, missing parameters allowed": """
net = mx.gluon.SymbolBlock.imports(
    "mx-mod-symbol.json", ["data"], "mx-mod-0000.params", allow_missing=True, ignore_extra=True)
answer = net(mx.nd.array(rows))
""",
    "symbol block by hand": """
text = json.dumps(json.load(open("mx-mod-symbol.json")))
net = mx.gluon.nn.SymbolBlock(outputs=mx.sym.load_json(text), inputs=mx.sym.var("data"))
net.load_parameters("mx-mod-0000.params", allow_missing=True)
net.initialize()
answer = mx.nd.concat(*[net(mx.nd.array(row).reshape((1, -1))) for row in rows], dim=0)
""",
    "module": """
module = mx.mod.Module.load("mx-mod", 0)
batches = mx.io.NDArrayIter(data=rows, batch_size=1)
module.bind(data_shapes=batches.provide_data)
answer = module.predict(batches)
""",
    "module with the original's label": """
module = mx.mod.Module.load(prefix="mx-mod", epoch=0, label_names=["out_label"])
batches = mx.io.NDArrayIter(data=rows, batch_size=3)
module.bind(data_shapes=batches.provide_data, for_training=False)
answer = module.predict(batches)
""",
}


def run_mxnet(python: Path, scripts: dict[str, str], folder: Path) -> dict[str, Any]:
    """The `answer` of each script, by its name."""
    code = (
        f"import json, mxnet as mx, numpy as np\nrows, answers = np.array({ROWS.tolist()}), {{}}\n"
    )
    for name, script in scripts.items():
        code += script + f"\nanswers[{name!r}] = answer.asnumpy().astype('float64').tolist()\n"
    code += "print('ANSWERS', json.dumps(answers))"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout.partition("ANSWERS")[2])
    return answers


def model(predictor: PredictorType, link: Link, outputs: int) -> LinearModel:
    rng = np.random.default_rng(outputs)
    weights = rng.normal(0, 0.01, (outputs, 2)).astype(np.float32)
    return LinearModel(predictor, weights, rng.normal(0, 1, outputs).astype(np.float32), link, 0.4)


MODELS = [
    model("regressor", "identity", 1),
    model("binary_classifier", "sigmoid", 1),
    model("binary_classifier", "identity", 1),
    model("multiclass_classifier", "softmax", 4),
]


@pytest.mark.parametrize("ours", MODELS, ids=lambda m: f"{m.predictor_type}-{m.link}")
def test_mxnet_predicts_what_the_endpoint_does(
    ours: LinearModel, mxnet_python: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "model_algo-1"
    artifact.save(ours, archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    answers = run_mxnet(mxnet_python, LOADERS, tmp_path)
    scores = ours.scores(ROWS).reshape(3, -1)
    for way, theirs in answers.items():
        np.testing.assert_allclose(theirs, scores, rtol=2e-6, atol=1e-6, err_msg=way)


@pytest.mark.parametrize("ours", MODELS, ids=lambda m: f"{m.predictor_type}-{m.link}")
def test_an_archive_comes_back_as_it_was_saved(ours: LinearModel, tmp_path: Path) -> None:
    artifact.save(ours, tmp_path / "model_algo-2")
    back = artifact.load(tmp_path)
    assert (back.predictor_type, back.link, back.threshold) == (
        ours.predictor_type,
        ours.link,
        ours.threshold,
    )
    np.testing.assert_array_equal(ours.weights, back.weights)
    np.testing.assert_array_equal(ours.bias, back.bias)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        artifact.save(MODELS[0], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


WRITES_MODULE = """
layer = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden={outputs}, name="fc0")
symbol = mx.sym.{operator}(layer, name="out")
symbol.save("mx-mod-symbol.json")
weights = mx.nd.array(np.arange(2 * {outputs}).reshape({outputs}, 2) / 100 - 0.01)
mx.nd.save("mx-mod-0000.params", {{"arg:fc0_weight": weights,
                                   "arg:fc0_bias": mx.nd.array([0.5] * {outputs})}})
net = mx.mod.Module.load("mx-mod", 0, label_names=["out_label"])
batches = mx.io.NDArrayIter(data=rows, batch_size=1)
net.bind(data_shapes=batches.provide_data, for_training=False)
answer = net.predict(batches)
"""


@pytest.mark.parametrize(
    ("operator", "outputs", "predictor"),
    [
        ("LinearRegressionOutput", 1, "regressor"),
        ("LogisticRegressionOutput", 1, "binary_classifier"),
        ("SoftmaxOutput", 3, "multiclass_classifier"),
    ],
)
def test_a_model_of_the_originals_layout_is_served(
    operator: str, outputs: int, predictor: str, mxnet_python: Path, tmp_path: Path
) -> None:
    script = WRITES_MODULE.format(operator=operator, outputs=outputs)
    theirs = run_mxnet(mxnet_python, {"theirs": script}, tmp_path)["theirs"]
    folder = tmp_path / "model"
    folder.mkdir()
    with zipfile.ZipFile(folder / "model_algo-1", "w") as packed:
        for name in ("mx-mod-symbol.json", "mx-mod-0000.params"):
            packed.write(tmp_path / name, name)
        packed.writestr("additional-params.json", '{"something": "else"}')
        packed.writestr("manifest.json", "{}")
    back = artifact.load(folder)
    assert back.predictor_type == predictor
    np.testing.assert_allclose(back.scores(ROWS).reshape(3, -1), theirs, rtol=2e-6, atol=1e-6)


def unpacked(folder: Path) -> None:
    archive = folder / "model_algo-1"
    artifact.save(MODELS[0], archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    archive.unlink()


def test_an_unpacked_archive_is_served(tmp_path: Path) -> None:
    unpacked(tmp_path)
    np.testing.assert_array_equal(MODELS[0].weights, artifact.load(tmp_path).weights)


def nothing(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")


def no_zip(folder: Path) -> None:
    (folder / "model_algo-1").write_bytes(b"not a zip")


def without_params(folder: Path) -> None:
    unpacked(folder)
    (folder / "mx-mod-0000.params").unlink()


def damaged_params(folder: Path) -> None:
    unpacked(folder)
    path = folder / "mx-mod-0000.params"
    path.write_bytes(path.read_bytes()[:-9])


def other_graph(folder: Path) -> None:
    unpacked(folder)
    path = folder / "mx-mod-symbol.json"
    path.write_text(path.read_text().replace("_copy", "Convolution"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (nothing, "The model folder has no model_algo-1; it holds notes.txt"),
        (no_zip, "model_algo-1 is no readable ZIP archive"),
        (without_params, "has no mx-mod-0000.params; it holds"),
        (damaged_params, "model folder/mx-mod-0000.params, byte "),
        (other_graph, "the graph ends in 'Convolution'; known are"),
    ],
)
def test_a_broken_archive_says_what_is_wrong(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    damage(tmp_path)
    with pytest.raises(ArtifactError, match=message):
        artifact.load(tmp_path)

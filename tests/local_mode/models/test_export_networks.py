"""MXNet's networks in ONNX, whose answers are compared with MXNet's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.mxnet_symbol import Entry, SymbolBuilder

from tests.local_mode.models.conftest import Command

ROOT = Path(__file__).parents[3]
ROOMS = ("serve", "train", "containers/formats", "containers/image_classification")
MAKE = Path(__file__).with_name("make_networks.py")
#: Networks that have nothing else than what is named so are in the other tests of this file.
NAMES = (
    *("convolutions", "one axis", "deconvolution", "batch norms", "poolings", "layers"),
    *("layers of rows in rows", "losses", "softmax of channels", "activations", "pairs"),
    *("scalars", "functions", "shapes", "norms", "products", "parts", "places"),
    *("resnet 20", "resnet 18"),
)


@pytest.fixture(scope="module")
def networks(mxnet_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_networks.py makes: one process, for MXNet takes long to begin."""
    folder = tmp_path_factory.mktemp("networks")
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", MAKE, folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / room) for room in ROOMS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_network_that_is_made_is_tested(networks: Path) -> None:
    assert {path.name for path in networks.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_in_onnx_answers_as_mxnet_does(
    name: str, networks: Path, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    done = command("export", networks / name, "--to", "onnx", "--output", path)
    assert done.exit_code == 0, done.output
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with np.load(networks / name / "answers.npz") as told:
        found = session.run(None, {"data": told["rows"]})
        assert len(found) == len(told.files) - 1
        for place, answer in enumerate(found):
            expected = told[str(place)]
            assert isinstance(answer, np.ndarray)
            assert answer.shape == expected.shape
            assert np.ptp(expected) > 1e-3
            largest = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 * largest)


def one_operator(folder: Path, op: str, settings: Mapping[str, str], width: int = 4) -> Path:
    builder = SymbolBuilder()
    inputs: list[Entry] = [builder.variable("data")]
    builder_out = builder.operator(op, "out", inputs, settings)
    (folder / "model-symbol.json").write_text(builder.build([builder_out]).dumps())
    mxnet_ndarray.save(folder / "model-0000.params", {"arg:unused": np.zeros(1, np.float32)})
    shape = [1, 3, width, width]
    (folder / "model-shapes.json").write_text(f'[{{"name": "data", "shape": {shape}}}]')
    return folder


@pytest.mark.parametrize(
    ("op", "settings", "said"),
    [
        ("ROIPooling", {}, "its operators ROIPooling have no form in ONNX here"),
        ("Pooling", {"pool_type": "lp", "kernel": "(2, 2)"}, "Pooling (out) with pool_type=lp"),
        (
            "Pooling",
            {"pool_type": "avg", "kernel": "(2, 2)", "pooling_convention": "full"},
            "pooling_convention=full has no form",
        ),
        ("Reshape", {"shape": "(-3, 0)"}, "Reshape (out) with shape=(-3, 0)"),
        ("Activation", {"act_type": "unheard"}, "the operator out (Activation) lacks or garbles"),
        ("Cast", {"dtype": "int32"}, "with dtype=int32"),
        ("Dropout", {"mode": "always"}, "Dropout (out) with mode=always has no form"),
        ("SoftmaxOutput", {}, "an input that is no matrix of rows"),
        ("FullyConnected", {"num_hidden": "2"}, "lacks or garbles"),
    ],
)
def test_what_an_operator_cannot_be_is_named(
    op: str, settings: Mapping[str, str], said: str, command: Command, tmp_path: Path
) -> None:
    one_operator(tmp_path, op, settings)
    assert said in command.refusal("export", tmp_path, "--to", "onnx")


def test_a_network_in_float16_is_exported_in_float32(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    one_operator(tmp_path, "Cast", {"dtype": "float16"})
    done = command("export", tmp_path, "--to", "onnx", "--output", path)
    assert done.exit_code == 0, done.output
    rows = np.full((2, 3, 4, 4), 1 / 3, np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"data": rows})[0], rows)


def test_parameters_that_are_not_there_are_named(command: Command, tmp_path: Path) -> None:
    builder = SymbolBuilder()
    inputs = [builder.variable(name) for name in ("data", "w", "b")]
    out = builder.operator("FullyConnected", "fc", inputs, {"num_hidden": "2"})
    (tmp_path / "model-symbol.json").write_text(builder.build([out]).dumps())
    weights = {"arg:w": np.zeros((2, 3), np.float32)}
    mxnet_ndarray.save(tmp_path / "model-0000.params", weights)
    assert "'b'" in command.refusal("export", tmp_path, "--to", "onnx")


def test_parameters_without_a_network_are_refused(command: Command, tmp_path: Path) -> None:
    mxnet_ndarray.save(tmp_path / "model-0000.params", {"arg:w": np.zeros((2, 3), np.float32)})
    said = command.refusal("export", tmp_path, "--to", "onnx")
    assert "there is no network beside them" in said

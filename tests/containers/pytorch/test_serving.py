"""Models of PyTorch behind `serve`: what the default functions read, call and write."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Every model of these tests, each in a folder of its own.
MAKE = """
    import os, torch
    from torch import nn

    def at(name):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        return name

    torch.manual_seed(0)
    double = nn.Linear(2, 1, bias=False)
    double.weight.data = torch.tensor([[2.0, 1.0]])
    dropped = nn.Sequential(double, nn.Dropout(0.9))
    torch.jit.script(dropped).save(at("models/scripted/model.pt"))
    torch.jit.trace(double, torch.zeros(1, 2)).save(at("models/traced/net.pth"))
    torch.jit.script(double).save(at("models/two/a.pt"))
    torch.jit.script(double).save(at("models/two/b.pt"))
    torch.save(double.state_dict(), at("models/weights/model.pt"))
    torch.save(double, at("models/pickled/model.pt"))
    torch.jit.script(nn.Embedding(3, 2)).save(at("models/embedding/model.pt"))

    class Several(nn.Module):
        def forward(self, x):
            return x + 1, {"sum": x.sum(1)}

    torch.jit.script(Several()).save(at("models/several/model.pt"))
    torch.save(double.state_dict(), at("models/own/weights.bin"))
"""
OWN = """
    import os, torch
    from torch import nn

    def model_fn(model_dir, context):
        model = nn.Linear(2, 1, bias=False)
        model.load_state_dict(torch.load(os.path.join(model_dir, "weights.bin")))
        return model

    def predict_fn(data, model):
        assert torch.is_tensor(data)
        return model(data) * 10
"""


@pytest.fixture(scope="module")
def server(pytorch: Any) -> Any:
    """One server for all models of these tests."""
    pytorch.python(MAKE)
    pytorch.write("models/own/code/inference.py", OWN)
    pytorch.variables["SAGEMAKER_MULTI_MODEL"] = "true"
    return pytorch.serve()


@pytest.fixture
def ask(server: Any, pytorch: Any) -> Any:
    """`ask(model, body, content type, accept)`: status and body, of a model that can be loaded."""

    def call(name: str, body: bytes, content_type: str, accept: str = "") -> tuple[int, bytes]:
        status, answer = server.load(pytorch.base / "models" / name)
        assert status in (200, 409), answer
        path = f"/models/{name}/invoke"
        status, content, _ = server.invoke(body, content_type, path, Accept=accept)
        return status, content

    return call


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["scripted", "traced"])
def test_a_torchscript_model_needs_no_script(ask: Any, name: str) -> None:
    for body, kind in ((b"1,2\n3,4", "text/csv"), (b"[[1, 2], [3, 4]]", "application/json")):
        status, answer = ask(name, body, kind)
        assert (status, json.loads(answer)) == (200, [[4.0], [10.0]])


def test_arrays_go_in_and_come_out_with_their_type(ask: Any) -> None:
    body = npy(np.array([[1, 2]], np.float32))
    status, answer = ask("scripted", body, "application/x-npy", "application/x-npy")

    array = np.load(io.BytesIO(answer))
    assert status == 200
    assert array.dtype == np.float32
    assert array.tolist() == [[4.0]]


def test_whole_numbers_stay_whole_in_an_array(ask: Any) -> None:
    for kind in (np.int64, np.uint16, ">i4"):
        status, answer = ask("embedding", npy(np.array([0, 2], kind)), "application/x-npy")
        assert (status, np.shape(json.loads(answer))) == (200, (2, 2))


def test_several_outputs_come_as_lists_and_objects(ask: Any) -> None:
    status, answer = ask("several", b"[[1, 2]]", "application/json")

    assert (status, json.loads(answer)) == (200, [[[2.0, 3.0]], {"sum": [3.0]}])


def test_answers_can_be_csv(ask: Any) -> None:
    assert ask("scripted", b"1,2\n3,4", "text/csv", "text/csv") == (200, b"4.0\n10.0\n")


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"1,2,3", "text/csv", 400, "no tensor of shape (3,) and type torch.float32"),
        (npy(np.zeros((1, 2))), "application/x-npy", 400, "type torch.float64"),
        (b'["a"]', "application/json", 400, "a tensor takes numbers"),
        (b"", "text/csv", 400, "empty body"),
        (b"x", "text/plain", 415, "text/plain"),
    ],
)
def test_what_a_model_cannot_take_is_said(
    ask: Any, body: bytes, kind: str, status: int, words: str
) -> None:
    found, answer = ask("scripted", body, kind)

    assert found == status
    assert words in json.loads(answer)["message"]


def test_a_script_brings_some_functions_and_has_the_defaults_of_the_others(ask: Any) -> None:
    status, answer = ask("own", b"[[1, 2]]", "application/json")

    assert (status, json.loads(answer)) == (200, [[40.0]])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two", "holds several models (a.pt, b.pt). Name the one to serve model.pt"),
        ("weights", "model.pt holds weights without a network (a state_dict)"),
        ("pickled", "model.pt was saved by torch.save(model)"),
        ("empty", "There is no PyTorch model among: nothing"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why_and_what_to_do(
    server: Any, pytorch: Any, name: str, words: str
) -> None:
    folder: Path = pytorch.base / "models" / name
    folder.mkdir(exist_ok=True)

    status, answer = server.load(folder)

    assert status == 500
    assert words in answer
    assert "define model_fn in code/inference.py" in answer

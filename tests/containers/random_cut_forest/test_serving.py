"""The endpoint: every way to ask and to be answered, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact
from sagelocal_formats.record_protobuf import Tensor, encode_rows, read_records
from sagelocal_random_cut_forest import model
from sagelocal_random_cut_forest.cutting import grow
from sagelocal_random_cut_forest.forest import Forest

if TYPE_CHECKING:
    from tests.containers.conftest import Server

PROTOBUF = "application/x-recordio-protobuf"
RANDOM = np.random.default_rng(0)
MODEL = Forest.of(grow(RANDOM.normal(size=(50 * 16, 3)).astype(np.float32), 50, seed=0), 16)
ROWS = np.array([[30, 4, 5], [0, 0, 0.5]], np.float32)
SCORES = MODEL.scores(ROWS)


@pytest.fixture
def endpoint(serve: Callable[[Path], Server], tmp_path: Path) -> Server:
    (tmp_path / "model").mkdir()
    model.save(MODEL, tmp_path / "model" / "model_algo-1")
    return serve(tmp_path)


def test_every_request_and_answer_says_the_same(endpoint: Server) -> None:
    requests = {
        "text/csv": b"30,4,5\n0,0,0.5\n",
        "application/json": b'{"instances": [{"features": [30, 4, 5]}, '
        b'{"data": {"features": {"keys": [2], "shape": [3], "values": [0.5]}}}]}',
        "application/jsonlines": b'{"features": [30, 4, 5]}\n{"features": [0, 0, 0.5]}\n',
        PROTOBUF: encode_rows({"values": ROWS}),
    }
    for content_type, body in requests.items():
        answer = endpoint.invoke(body, content_type).json
        assert list(answer) == ["scores"]
        assert _close([record["score"] for record in answer["scores"]])
        lines = endpoint.invoke(body, content_type, "application/jsonlines").body.splitlines()
        assert _close([json.loads(line)["score"] for line in lines])
        tensors = [
            record.label["score"]
            for record in read_records(endpoint.invoke(body, content_type, PROTOBUF).body)
        ]
        assert _close([t.values[0] for t in tensors if isinstance(t, Tensor)])
        told = endpoint.invoke(body, content_type, "text/csv").body.split()
        assert _close([float(line) for line in told])


def _close(scores: list[Any]) -> bool:
    return len(scores) == len(SCORES) and bool(np.allclose(scores, SCORES, rtol=1e-5))


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        ("1,2", "text/csv", None, 400, "have 2 features, the model was trained on 3"),
        ("1,2,x", "text/csv", None, 400, "Row 1, column 3 of the CSV body is 'x', no number"),
        ("1,2,3", "application/x-npy", None, 415, "application/x-npy"),
        ("1,2,3", "text/csv", "image/png", 406, "image/png"),
    ],
)
def test_what_cannot_be_answered_says_why(
    body: str, content_type: str, accept: str | None, status: int, message: str, endpoint: Server
) -> None:
    answer = endpoint.invoke(body, content_type, accept)
    assert answer.status == status
    assert message in answer.json["message"]


def test_a_loaded_forest_scores_as_the_saved_one(tmp_path: Path) -> None:
    model.save(MODEL, tmp_path / "model_algo-1")
    rows = RANDOM.normal(size=(100, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.load(tmp_path).scores(rows), MODEL.scores(rows))


Change = Callable[[dict[str, NDArray[Any]]], object]
BROKEN: dict[str, tuple[Change, str]] = {
    "not there": (lambda a: a.pop("masses"), "has no array 'masses'; it holds 'roots', .* train"),
    "flat": (lambda a: a.update(points=a["points"].ravel()), r"'points' has the shape \(2400,\)"),
    "too few masses": (lambda a: a.update(masses=a["masses"][1:]), "'masses' does not fit"),
    "no such feature": (lambda a: a.update(dimensions=a["dimensions"] + 3), "'dimensions' does"),
    "no such root": (lambda a: a.update(roots=a["roots"] - 10_000), "'roots' does not fit"),
    "a circle": (lambda a: a.update(children=a["children"] * 0), "'children' does not fit"),
    "no size": (lambda a: a.update(size=a["size"] * 0), "'size' does not fit"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_artifact_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    arrays = model.arrays_of(MODEL)
    change(arrays)
    artifact.save_arrays(tmp_path / "model_algo-1", arrays)
    with pytest.raises(ArtifactError, match=message):
        model.load(tmp_path)


def test_an_artifact_of_another_kind_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "model_algo-1").write_bytes(b"trees of the cloud")
    with pytest.raises(ArtifactError, match="model_algo-1 is no readable MXNet NDArray file"):
        model.load(tmp_path)

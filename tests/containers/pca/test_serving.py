"""The endpoint: every way to ask and to be answered, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sagelocal_first_party import ArtifactError, artifact
from sagelocal_formats.record_protobuf import Tensor, encode_rows, read_records
from sagelocal_pca import model
from sagelocal_pca.model import Projector

if TYPE_CHECKING:
    from tests.containers.conftest import Server

PROTOBUF = "application/x-recordio-protobuf"
MODEL = Projector(
    np.array([1, 1, 1], np.float32),
    np.array([[0, 1], [1, 0], [0, 0]], np.float32),
    np.array([2, 5], np.float32),
)
ROWS = np.array([[3, 4, 5], [1, 0, 1]], np.float32)
PROJECTED = [[3.0, 2.0], [-1.0, 0.0]]


@pytest.fixture
def endpoint(serve: Callable[[Path], Server], tmp_path: Path) -> Server:
    (tmp_path / "model").mkdir()
    MODEL.save(tmp_path / "model" / "model_algo-1")
    return serve(tmp_path)


def test_every_request_and_answer_says_the_same(endpoint: Server) -> None:
    requests = {
        "text/csv": b"3,4,5\n1,0,1\n",
        "application/json": b'{"instances": [{"features": [3, 4, 5]}, {"features": [1, 0, 1]}]}',
        "application/jsonlines": b'{"features": [3, 4, 5]}\n{"features": [1, 0, 1]}\n',
        PROTOBUF: encode_rows({"values": ROWS}),
    }
    objects = [{"projection": row} for row in PROJECTED]
    for content_type, body in requests.items():
        assert endpoint.invoke(body, content_type).json == {"projections": objects}
        lines = endpoint.invoke(body, content_type, "application/jsonlines").body.splitlines()
        assert [json.loads(line) for line in lines] == objects
        tensors = [
            record.label["projection"]
            for record in read_records(endpoint.invoke(body, content_type, PROTOBUF).body)
        ]
        assert all(isinstance(tensor, Tensor) for tensor in tensors)
        assert [t.values.tolist() for t in tensors if isinstance(t, Tensor)] == PROJECTED
    assert endpoint.invoke(b"3,4,5", "text/csv", "text/csv").body == b"3.0,2.0\n"


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


def test_a_model_without_its_arrays_is_said_to_lack_them(tmp_path: Path) -> None:
    archive = tmp_path / "model_algo-1"
    artifact.save_arrays(archive, [np.eye(3, dtype=np.float32)])
    with pytest.raises(ArtifactError, match="has no array 'mean'; it holds no named arrays"):
        model.load(tmp_path)
    artifact.save_arrays(archive, {"mean": MODEL.mean, "v": MODEL.components[:2]})
    with pytest.raises(ArtifactError, match=r"'v' has the shape \(2, 2\), .* a mean of 3 features"):
        model.load(tmp_path)

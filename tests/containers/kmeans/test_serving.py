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
from sagelocal_kmeans import model
from sagelocal_kmeans.model import Clusters

if TYPE_CHECKING:
    from tests.containers.conftest import Server

PROTOBUF = "application/x-recordio-protobuf"
MODEL = Clusters(np.array([[1000, 1000], [1003, 1004]], np.float32))
ROWS = np.array([[1000, 1000], [1003, 1006]], np.float32)
OBJECTS = [
    {"closest_cluster": 0.0, "distance_to_cluster": 0.0},
    {"closest_cluster": 1.0, "distance_to_cluster": 2.0},
]


@pytest.fixture
def endpoint(serve: Callable[[Path], Server], tmp_path: Path) -> Server:
    (tmp_path / "model").mkdir()
    MODEL.save(tmp_path / "model" / "model_algo-1")
    return serve(tmp_path)


def test_every_request_and_answer_says_the_same(endpoint: Server) -> None:
    features = [{"features": row} for row in ROWS.tolist()]
    requests = {
        "text/csv": b"1000,1000\n1003,1006\n",
        "application/json": json.dumps({"instances": features}).encode(),
        "application/jsonlines": "\n".join(map(json.dumps, features)).encode(),
        PROTOBUF: encode_rows({"values": ROWS}),
    }
    for content_type, body in requests.items():
        assert endpoint.invoke(body, content_type).json == {"predictions": OBJECTS}
        lines = endpoint.invoke(body, content_type, "application/jsonlines").body.splitlines()
        assert [json.loads(line) for line in lines] == OBJECTS
        records = read_records(endpoint.invoke(body, content_type, PROTOBUF).body)
        for record, expected in zip(records, OBJECTS, strict=True):
            tensors = {
                n: t.values.tolist() for n, t in record.label.items() if isinstance(t, Tensor)
            }
            assert tensors == {name: [value] for name, value in expected.items()}
    csv = endpoint.invoke(requests["text/csv"], "text/csv", "text/csv").body
    assert csv == b"0.0,0.0\n1.0,2.0\n"


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        ("1,2,3", "text/csv", None, 400, "have 3 features, the model was trained on 2"),
        ("1,x", "text/csv", None, 400, "Row 1, column 2 of the CSV body is 'x', no number"),
        ("1,2", "application/x-npy", None, 415, "application/x-npy"),
        ("1,2", "text/csv", "image/png", 406, "image/png"),
    ],
)
def test_what_cannot_be_answered_says_why(
    body: str, content_type: str, accept: str | None, status: int, message: str, endpoint: Server
) -> None:
    answer = endpoint.invoke(body, content_type, accept)
    assert answer.status == status
    assert message in answer.json["message"]


def test_an_artifact_of_another_kind_is_said_to_be(tmp_path: Path) -> None:
    archive = tmp_path / "model_algo-1"
    artifact.save_arrays(archive, {"a": MODEL.centers, "b": MODEL.centers})
    with pytest.raises(ArtifactError, match="holds 2 arrays, not one of centres"):
        model.load(tmp_path)
    artifact.save_arrays(archive, [MODEL.centers[0]])
    with pytest.raises(ArtifactError, match=r"the array of centres has the shape \(2,\)"):
        model.load(tmp_path)

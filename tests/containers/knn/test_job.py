"""Whole jobs and their endpoints: log, artifact, answers and failures."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError
from sagelocal_formats.record_protobuf import Tensor, encode_rows, read_records
from sagelocal_knn import model
from sagelocal_knn.hyperparameters import TABLE
from sagelocal_knn.training import FAMILY

if TYPE_CHECKING:
    from tests.containers.conftest import Job, Server

Array = NDArray[Any]
PROTOBUF = "application/x-recordio-protobuf"
GIVEN = {"feature_dim": 2, "k": 3, "sample_size": 100, "predictor_type": "classifier"}
ROWS = "1,0,0\n1,1,0\n1,0,1\n2,9,9\n2,8,9\n2,9,8\n"


@pytest.mark.parametrize("predictor", ["classifier", "regressor"])
def test_a_job_leaves_the_originals_log_and_files(job: Job, family: Path, predictor: str) -> None:
    job.channel("train", {"a.csv": ROWS}).channel("test", {"a.csv": "1,0,0\n2,9,9\n1,8,8\n"})
    ended = job.run(**{**GIVEN, "predictor_type": predictor})
    assert ended.exit_code == 0, ended.log
    regexes = tomllib.loads((family / "image.toml").read_text())["metrics"]
    found = {
        name: float(values[-1])
        for name, regex in regexes.items()
        if (values := [m[1] for line in ended.log.splitlines() if (m := re.search(regex, line))])
    }
    name, value = ("accuracy", 2 / 3) if predictor == "classifier" else ("mse", 1 / 3)
    assert found[f"test:{name}"] == pytest.approx(value)
    assert found["train:progress"] == 100
    assert re.search(rf"#test_score \(algo-1\) : \('{name}', 0\.\d+\)", ended.log)
    assert sorted(path.name for path in ended.model_dir.iterdir()) == [
        "model_algo-1",
        "model_algo-1.json",
        "model_algo-1.labels",
    ]
    assert faiss.read_index(str(ended.model_dir / "model_algo-1")).ntotal == 6
    labels = np.fromfile(ended.model_dir / "model_algo-1.labels", np.float32)
    assert labels.tolist() == [1, 1, 1, 2, 2, 2]
    assert json.loads((ended.model_dir / "model_algo-1.json").read_text()) == {
        "k": 3,
        "predictor_type": predictor,
        "dimension_reduction": None,
        "normalize": False,
        "version": "1.0",
    }


def test_the_endpoint_answers_verbosely_where_asked(
    job: Job, serve: Callable[[Path], Server]
) -> None:
    ended = job.channel("train", {"a.csv": ROWS}).run(**GIVEN)
    assert ended.exit_code == 0, ended.log
    server: Server = serve(ended.base)
    rows = np.array([[0, 0], [9, 9]], np.float32)
    plain = [{"predicted_label": 1.0}, {"predicted_label": 2.0}]
    for content_type, body in (
        ("text/csv", b"0,0\n9,9\n"),
        ("text/csv; label_size=1", b"5,0,0\n5,9,9\n"),
        ("application/json", b'{"instances": [{"features": [0, 0]}, {"features": [9, 9]}]}'),
        ("application/jsonlines", b'{"features": [0, 0]}\n{"features": [9, 9]}\n'),
        (PROTOBUF, encode_rows({"values": rows})),
    ):
        assert server.invoke(body, content_type).json == {"predictions": plain}
    more = server.invoke(b"0,0", "text/csv", "application/json; verbose=true").json["predictions"]
    assert more == [
        {"predicted_label": 1.0, "distances": [0.0, 1.0, 1.0], "labels": [1.0, 1.0, 1.0]}
    ]
    answer = server.invoke(b"9,9", "text/csv", f"{PROTOBUF}; verbose=true").body
    (record,) = read_records(answer)
    tensors = {n: t.values.tolist() for n, t in record.label.items() if isinstance(t, Tensor)}
    assert tensors == {"predicted_label": [2], "distances": [0, 1, 1], "labels": [2, 2, 2]}
    wrong = server.invoke(b"1,2,3", "text/csv")
    assert wrong.status == 400
    assert "have 3 features, the model was trained on 2" in wrong.json["message"]


def test_edited_metadata_changes_how_predictions_are_made(job: Job) -> None:
    ended = job.channel("train", {"a.csv": ROWS}).run(**GIVEN)
    path = ended.model_dir / "model_algo-1.json"
    document = json.loads(path.read_text()) | {"k": 6, "predictor_type": "regressor"}
    path.write_text(repr(document))  # As the developer guide shows it.
    edited = model.load(ended.model_dir)
    assert edited.predict(edited.neighbours(np.zeros((1, 2), np.float32))).tolist() == [1.5]


@pytest.mark.parametrize(
    "given",
    [
        {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": 2},
        {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 2},
        {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 8},
        {
            "index_type": "faiss.IVFPQ",
            "faiss_index_pq_m": 3,
            "dimension_reduction_type": "sign",
            "dimension_reduction_target": 1,
        },
        {"dimension_reduction_type": "fjlt", "dimension_reduction_target": 1},
        {"index_metric": "COSINE"},
    ],
    ids=str,
)
def test_a_model_of_every_kind_comes_back(given: dict[str, object], job: Job) -> None:
    ended = job.channel("train", {"a.csv": ROWS.replace("1,0,0", "1,1,1")}).run(**GIVEN, **given)
    assert ended.exit_code == 0, ended.log
    back = model.load(ended.model_dir)
    assert back.width == 2
    found = back.neighbours(np.ones((1, 2), np.float32))
    assert found.labels.shape == (1, 3)
    assert (np.diff(found.distances) >= 0).all()


def test_rows_that_quantizers_cannot_divide_evenly_are_filled_up_with_zeros(job: Job) -> None:
    given = {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 8}
    ended = job.channel("train", {"a.csv": ROWS}).run(**GIVEN, **given)
    assert faiss.read_index(str(ended.model_dir / "model_algo-1")).d == 8
    assert json.loads((ended.model_dir / "model_algo-1.json").read_text())["feature_dim"] == 2


def break_labels(folder: Path) -> None:
    (folder / "model_algo-1.labels").write_bytes(bytes(8))


def break_index(folder: Path) -> None:
    (folder / "model_algo-1").write_bytes(b"no index")


def drop_metadata(folder: Path) -> None:
    (folder / "model_algo-1.json").unlink()


def widen(folder: Path) -> None:
    path = folder / "model_algo-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"feature_dim": 3}))


def reduce_elsewhere(folder: Path) -> None:
    reduction = {"type": "sign", "seed": 3, "target_dim": 2, "input_dim": 9}
    document = {"k": 1, "predictor_type": "classifier", "dimension_reduction": reduction}
    (folder / "model_algo-1.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_labels, "model_algo-1 has 6 rows and 2 labels"),
        (break_index, "model_algo-1 is no readable faiss index"),
        (drop_metadata, "The model folder has no model_algo-1.json"),
        (reduce_elsewhere, "random projection that was made elsewhere"),
        (widen, "model_algo-1.json: 'feature_dim' is 3, not an integer of 1 to 2"),
    ],
)
def test_a_broken_artifact_says_what_is_wrong(
    damage: Callable[[Path], None], message: str, job: Job
) -> None:
    ended = job.channel("train", {"a.csv": ROWS}).run(**GIVEN)
    damage(ended.model_dir)
    with pytest.raises(ArtifactError, match=message):
        model.load(ended.model_dir)


@pytest.mark.parametrize(
    ("content", "content_type", "given", "message"),
    [
        ("1,2,3\n1,2\n", "text/csv", {}, "train/a, line 2: 2 columns, the lines before it have 3"),
        ("1,2\n", "text/csv", {}, r"train/a has 1 features, expected 2 \(feature_dim\)"),
        ("1,2,3\n", "text/csv;label_size=0", {}, "this algorithm needs exactly one label"),
        ("", "text/csv", {}, "The channel 'train' holds no data"),
        (
            b"1,2,3\n1,\xff,6\n",
            "text/csv",
            {},
            "train/a, line 2, column 2: the byte 0xff is no UTF-8",
        ),
        ("1,2,3\n", "text/csv", {}, "'k' is 3 and 1 rows were sampled .* lower 'k'"),
        (encode_rows({"values": np.eye(2)}), PROTOBUF, {}, "train/a has records without a label"),
        (
            encode_rows({"values": np.eye(2)}, {"values": np.ones(2)})
            + encode_rows({"values": np.eye(3)}, {"values": np.ones(3)}),
            PROTOBUF,
            {},
            "train/a, record 3, byte .*: 3 values where the first record has 2; all records need",
        ),
        (
            encode_rows({"values": np.full((2, 2), np.nan)}, {"values": np.ones(2)}),
            PROTOBUF,
            {},
            "train/a, row 1: feature 1 is not a finite",
        ),
        (ROWS, "text/csv", {"sample_size": 2}, "'k' is 3 and 'sample_size' is 2: raise"),
        (ROWS, "text/csv", {"index_type": "faiss.IVFPQ"}, "'faiss_index_pq_m' is a required"),
        (
            ROWS,
            "text/csv",
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 5},
            r"'faiss_index_pq_m' is 5, which is not one of \[1, 2, 3, 4, 8,",
        ),
        (
            ROWS,
            "text/csv",
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 2, "index_metric": "COSINE"},
            "'index_metric' is 'COSINE', which 'index_type' 'faiss.IVFPQ' does not support",
        ),
        (
            ROWS,
            "text/csv",
            {"dimension_reduction_type": "sign"},
            "'dimension_reduction_target' is a required property",
        ),
        (
            ROWS,
            "text/csv",
            {"dimension_reduction_type": "sign", "dimension_reduction_target": 2},
            "'dimension_reduction_target' is 2 and 'feature_dim' is 2: it must be less",
        ),
    ],
)
def test_bad_input_is_the_users_to_mend(
    content: str | bytes, content_type: str, given: dict[str, object], message: str, job: Job
) -> None:
    ended = job.channel("train", {"a": content}, content_type).run(**{**GIVEN, **given})
    assert ended.exit_code != 0
    assert re.search(message, ended.failure), ended.failure
    assert ended.failure.startswith("ClientError: ")


def test_the_readme_shows_what_is_declared(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert FAMILY.channels.markdown() in readme

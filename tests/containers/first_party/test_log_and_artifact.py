"""The lines of a job, and the archive it leaves."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sagelocal_first_party import ArtifactError, JobLog, Metric, artifact
from sagelocal_formats import mxnet_ndarray
from sagelocal_train import log_lines


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a job says, without the prefix of each line."""
    before = logging.root.handlers[:], logging.root.level
    try:
        log_lines.configure(logging.INFO)
        log = JobLog("algo-1", "PCA")
        log.data_seen(100, 4, epoch=0)
        log.data_seen(60, 2, epoch=1)
        log.progress(50)
        log.throughput(100, 0.5)
        log.quality("train", "msd", 0.25)
        log.final("test", [Metric("accuracy", 0.5, "score")])
        log.final("test", [Metric("mse", 2.0, "loss")], scores=False)
        log.tested(None)
        log.over(epochs=2)
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)
    return [
        re.sub(r"^\[\S+ \S+ INFO \d+\] ", "", line) for line in capsys.readouterr().out.splitlines()
    ]


def test_the_lines_follow_the_grammar_of_the_originals(lines: list[str]) -> None:
    assert [line for line in lines if not line.startswith("#metrics")] == [
        "#progress_metric: host=algo-1, completed 50.0 % of epochs",
        "#throughput_metric: host=algo-1, train throughput=200.0 records/second",
        "#quality_metric: host=algo-1, train msd <loss>=0.25",
        "#test_score (algo-1) : ('accuracy', 0.5)",
        "#quality_metric: host=algo-1, test accuracy <score>=0.5",
        "#quality_metric: host=algo-1, test mse <loss>=2.0",
        "Test data is not provided.",
    ]


def test_metrics_lines_count_what_was_read(lines: list[str]) -> None:
    documents = [json.loads(line[9:]) for line in lines if line.startswith("#metrics ")]
    assert [document["Dimensions"] for document in documents] == [
        {
            "Algorithm": "PCA",
            "Host": "algo-1",
            "Operation": "training",
            "epoch": epoch,
            "Meta": "training_data_iter",
        }
        for epoch in (0, 1)
    ] + [{"Algorithm": "PCA", "Host": "algo-1", "Operation": "training"}]
    second = {name: metric["sum"] for name, metric in documents[1]["Metrics"].items()}
    assert second == {
        "Total Records Seen": 160,
        "Total Batches Seen": 6,
        "Max Records Seen Between Resets": 100,
        "Max Batches Seen Between Resets": 4,
        "Reset Count": 1,
        "Number of Records Since Last Reset": 60,
        "Number of Batches Since Last Reset": 2,
    }
    assert documents[2]["Metrics"]["epochs"] == {"sum": 2, "count": 1, "min": 2, "max": 2}
    assert documents[2]["Metrics"]["totaltime"]["sum"] >= 0
    assert all(document["StartTime"] <= document["EndTime"] for document in documents)


def test_an_archive_is_found_whichever_host_wrote_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has no model_algo-1; it holds nothing"):
        artifact.found(tmp_path)
    (tmp_path / "code").mkdir()
    with pytest.raises(ArtifactError, match="it holds code"):
        artifact.found(tmp_path)
    for name in ("model_algo-2.json", "model_algo-2", "model_algo-2.labels"):
        (tmp_path / name).touch()
    assert artifact.found(tmp_path).name == "model_algo-2"


def test_the_same_members_give_the_same_zip(tmp_path: Path) -> None:
    members = {"a.json": b"{}", "b.params": bytes(range(256))}
    for name in ("model_1", "model_2"):
        artifact.pack(tmp_path / name, members)
    assert (tmp_path / "model_1").read_bytes() == (tmp_path / "model_2").read_bytes()
    assert artifact.unpacked(tmp_path / "model_1") == members


def test_folders_in_a_zip_do_not_count(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model_1", "w") as packed:
        packed.writestr("../x/a.json", "{}")
        packed.mkdir("empty")
    assert artifact.unpacked(tmp_path / "model_1") == {"a.json": b"{}"}


def test_a_file_of_another_kind_is_said_to_be(tmp_path: Path) -> None:
    archive = tmp_path / "model_algo-1"
    archive.write_bytes(mxnet_ndarray.dumps([np.eye(2, dtype=np.float32)]))
    assert artifact.read_arrays(archive).dense(0).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ArtifactError, match="model_algo-1 is no readable ZIP archive"):
        artifact.unpacked(archive)
    archive.write_bytes(archive.read_bytes()[:-3])
    with pytest.raises(ArtifactError, match="model_algo-1 is no readable MXNet NDArray file: mo"):
        artifact.read_arrays(archive)

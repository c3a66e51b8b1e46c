"""Whole jobs: the console script on an /opt/ml tree, its log, its artifact and its failures."""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import encode_rows
from sagelocal_random_cut_forest import model
from sagelocal_random_cut_forest.hyperparameters import TABLE
from sagelocal_random_cut_forest.training import FAMILY

if TYPE_CHECKING:
    from tests.containers.conftest import Job

Array = NDArray[Any]
PROTOBUF = "application/x-recordio-protobuf"
UNLABELLED = "text/csv;label_size=0"
LABELLED = "text/csv;label_size=1"
SHARDED = {"S3DistributionType": "ShardedByS3Key"}
GIVEN = {"feature_dim": 3, "num_trees": 50, "num_samples_per_tree": 20}


@pytest.fixture(scope="session")
def rows() -> Array:
    """Of which every hundredth is far off."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(1200, 3)).astype(np.float32)
    rows[::100] += 30
    return rows


def csv(rows: Array) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def labelled(rows: Array) -> str:
    labels = (rows[:, 0] > 10).astype(int)
    lines = csv(rows).splitlines()
    return "".join(f"{label},{line}\n" for label, line in zip(labels, lines, strict=True))


def test_a_job_leaves_the_originals_log(job: Job, rows: Array) -> None:
    ended = job.channel("train", {"a.csv": csv(rows)}, UNLABELLED, **SHARDED).run(**GIVEN)
    assert ended.exit_code == 0, ended.log
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        r"Docker entrypoint called with argument\(s\): train",
        r"Running default environment configuration script",
        prefix + r"Reading default configuration from .*: \{.*'num_trees': '100'",
        prefix + r"Final configuration: \{.*'num_samples_per_tree': '20'",
        prefix + r"Sampling training data\.\.\.$",
        prefix + r"Sampling training data completed\.$",
        prefix + r"#progress_metric: host=algo-1, completed 100.0 % of epochs$",
        prefix + r"#throughput_metric: host=algo-1, train throughput=\d\S+ records/second$",
        prefix + r"Master node: building Random Cut Forest\.\.\.$",
        prefix + r"1000 samples gathered$",
        prefix + r"Random Cut Forest built: ForestInfo\{num_trees: 50, num_samples_in_forest: 1000,"
        r" num_samples_per_tree: 20, sample_dim: 3, mem_size: \d+\}$",
        prefix + r"Master node: Serializing the RandomCutForest model$",
        prefix + r"Test data is not provided.$",
    ):
        assert re.search(line, ended.log, re.MULTILINE), line
    metrics = [json.loads(m[1]) for m in re.finditer(r"^#metrics (.*)$", ended.log, re.M)]
    assert {m["Dimensions"]["Algorithm"] for m in metrics} == {"RandomCutForest"}
    epoch = next(m["Metrics"] for m in metrics if "epoch" in m["Dimensions"])
    assert (epoch["Total Records Seen"]["sum"], epoch["Total Batches Seen"]["sum"]) == (1200, 2)
    assert any("fit_model.time" in m["Metrics"] for m in metrics)


def test_the_test_channel_is_measured(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED, **SHARDED)
    ended = job.channel("test", {"a": labelled(rows)}, LABELLED).run(**GIVEN)
    assert ended.exit_code == 0, ended.log
    found = dict(re.findall(r"#quality_metric: host=algo-1, test (\S+) <score>=(\S+)", ended.log))
    assert list(found) == [
        "accuracy",
        *("precision", "recall", "f1"),
        *("negative_precision", "negative_recall", "negative_f1"),
    ]
    assert set(map(float, found.values())) == {1.0}
    assert re.search(r"#test_score \(algo-1\) : \('accuracy', 1\.0\)", ended.log)


def test_fewer_rows_than_samples_are_divided_and_said(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED, **SHARDED)
    ended = job.run(feature_dim=3, eval_metrics='["accuracy"]', mini_batch_size=1000)
    assert ended.exit_code == 0, ended.log
    assert r"num_trees * num_samples_per_tree (25600); each tree has 12." in ended.log
    assert model.load(ended.model_dir).size == 12


def test_a_row_for_each_tree_is_a_forest_without_cuts(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows[:50])}, UNLABELLED, **SHARDED)
    ended = job.run(**GIVEN)
    assert ended.exit_code == 0, ended.log
    forest = model.load(ended.model_dir)
    assert (forest.size, len(forest.cuts.places)) == (1, 0)
    # In one tree of fifty it is no stranger.
    assert forest.scores(rows[:1]).tolist() == pytest.approx([1 - 0.5 / 50])


def test_every_content_type_gives_the_same_model(job: Job, rows: Array, tmp_path: Path) -> None:
    labels = (rows[:, 0] > 10).astype(np.float32)
    forms: dict[str, tuple[str | bytes, str | None]] = {
        "csv": (csv(rows), UNLABELLED),
        "csv with a label": (labelled(rows), "text/csv"),
        "records": (encode_rows({"values": rows}), PROTOBUF),
        "labelled records": (encode_rows({"values": rows}, {"values": labels}), PROTOBUF),
        "guessed": (encode_rows({"values": rows}), None),
    }
    models = set()
    for name, (content, content_type) in forms.items():
        each = replace(job, base=tmp_path / name)
        ended = each.channel("train", {"a": content}, content_type, **SHARDED).run(**GIVEN)
        assert ended.exit_code == 0, ended.log
        models.add((ended.model_dir / "model_algo-1").read_bytes())
    assert len(models) == 1


def test_a_pipe_gives_the_model_of_a_file(job: Job, rows: Array, tmp_path: Path) -> None:
    content = encode_rows({"values": rows})
    read = job.channel("train", {"a": content}, PROTOBUF, **SHARDED).run(**GIVEN)
    piped = replace(job, base=tmp_path / "piped")
    piped.channel("train", {}, PROTOBUF, TrainingInputMode="Pipe", **SHARDED)
    pipe = piped.base / "input" / "data" / "train_0"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_bytes, content)
        ended = piped.run(**GIVEN)
        assert written.result() == len(content)
    assert ended.exit_code == 0, ended.log
    archives = [each.model_dir / "model_algo-1" for each in (read, ended)]
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_the_sdks_local_mode_says_no_distribution_and_may(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED, S3DistributionType="")
    assert job.run(**GIVEN).exit_code == 0


def test_mxnet_reads_the_artifact(job: Job, rows: Array, mxnet_python: Path) -> None:
    ended = job.channel("train", {"a.csv": csv(rows)}, UNLABELLED, **SHARDED).run(**GIVEN)
    code = """
import json, mxnet as mx
arrays = mx.ndarray.load("model_algo-1")
print("ARRAYS", json.dumps({name: list(array.shape) for name, array in arrays.items()}))
"""
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", code],
        cwd=ended.model_dir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.partition("ARRAYS")[2]) == {
        "roots": [50],
        "dimensions": [950],
        "places": [950],
        "children": [950, 2],
        "points": [1000, 3],
        "masses": [1000],
        "size": [1],
    }


@pytest.mark.parametrize(
    ("content", "content_type", "given", "message"),
    [
        ("1,2,3\n4,5\n", UNLABELLED, {}, "train/a, line 2: 2 columns, the lines before it have 3"),
        ("1,2\n", UNLABELLED, {}, r"train/a has 2 features, expected 3 \(feature_dim\)"),
        ("1,2,3\n", "text/csv", {}, "set the content type to text/csv;label_size=0"),
        ("", UNLABELLED, {}, "The channel 'train' holds no data: .* Check its S3Uri"),
        (
            b"1,2,3\n4,\xff\xfe,6\n",
            UNLABELLED,
            {},
            "train/a, line 2, column 2: the byte 0xff is no UTF-8",
        ),
        ("1,2,3\n4,nan,6\n", UNLABELLED, {}, "train/a, line 2, column 2: 'nan' is not a finite"),
        (
            encode_rows({"values": np.eye(3)}) + encode_rows({"values": np.eye(4)}),
            PROTOBUF,
            {},
            "train/a, record 4, byte .*: 4 values where the first record has 3",
        ),
        (
            encode_rows({"values": np.array([[1, 2, 3], [4, np.nan, 6]])}),
            PROTOBUF,
            {},
            "train/a, row 2: feature 2 is not a finite 32-bit number; fill it in or leave",
        ),
        ("1,2,3\n", UNLABELLED, {}, "has 1 rows and 'num_trees' is 50: .* or train on more rows"),
        ("1,2,3\n", UNLABELLED, {"num_trees": 49}, "'num_trees' must be an integer of at least 50"),
        ("1,2,3\n", UNLABELLED, {"num_samples_per_tree": 2049}, "'num_samples_per_tree' must be"),
        ("1,2,3\n", UNLABELLED, {"feature_dim": 10_001}, "'feature_dim' must be .* at most 10,000"),
        ("1,2,3\n", UNLABELLED, {"eval_metrics": "[f1]"}, "must be a JSON list of 'accuracy', 'pr"),
    ],
)
def test_bad_input_is_the_users_to_mend(
    content: str | bytes, content_type: str, given: dict[str, object], message: str, job: Job
) -> None:
    job.channel("train", {"a": content}, content_type, **SHARDED)
    ended = job.run(**{**GIVEN, **given})
    assert ended.exit_code != 0
    assert re.search(message, ended.failure), ended.failure
    assert ended.failure.startswith("ClientError: ")


def test_labels_that_are_neither_0_nor_1_are_said_with_their_row(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED, **SHARDED)
    failure = job.channel("test", {"b": "0,1,2,3\n2,1,2,3\n"}, LABELLED).run(**GIVEN).failure
    assert "test/b, row 2: the label is 2; it must be 1 for an anomaly and 0" in failure


def test_a_distribution_that_the_original_refuses_is_refused(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED)
    failure = job.channel("test", {"a": labelled(rows)}, LABELLED, **SHARDED).run(**GIVEN).failure
    for name, given, taken in (
        ("train", "FullyReplicated", "ShardedByS3Key"),
        ("test", "ShardedByS3Key", "FullyReplicated"),
    ):
        said = f"Channel '{name}' has S3DataDistributionType '{given}'; this algorithm takes"
        assert f"{said} '{taken}' only" in failure


def test_the_readme_shows_what_is_declared(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert FAMILY.channels.markdown() in readme
    for metric in re.findall(r'^"(\w+:\w+)" =', (family / "image.toml").read_text(), re.MULTILINE):
        assert f"`{metric}`" in readme

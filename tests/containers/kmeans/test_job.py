"""Whole jobs: the console script on an /opt/ml tree, its log, its artifact and its failures."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import encode_rows
from sagelocal_kmeans import model
from sagelocal_kmeans.hyperparameters import TABLE
from sagelocal_kmeans.training import FAMILY

if TYPE_CHECKING:
    from tests.containers.conftest import Job

Array = NDArray[Any]
PROTOBUF = "application/x-recordio-protobuf"
UNLABELLED = "text/csv;label_size=0"
GIVEN = {"feature_dim": 2, "k": 3, "mini_batch_size": 50}


@pytest.fixture(scope="session")
def rows() -> Array:
    rng = np.random.default_rng(5)
    centers = np.array([[0, 0], [20, 0], [0, 20]])
    return (centers[rng.integers(0, 3, 120)] + rng.normal(size=(120, 2))).astype(np.float32)


def csv(rows: Array) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def test_a_job_leaves_the_originals_log(job: Job, rows: Array) -> None:
    ended = job.channel("train", {"a.csv": csv(rows)}, UNLABELLED).run(**GIVEN, epochs=2)
    assert ended.exit_code == 0, ended.log
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        r"Docker entrypoint called with argument\(s\): train",
        r"Running default environment configuration script",
        prefix + r"Reading default configuration from .*: \{.*'init_method': 'random'",
        prefix + r"Final configuration: \{.*'k': '3'",
        prefix + r"'extra_center_factor' was set to 'auto', evaluated to 10\.$",
        prefix + r"processed a total of 120 examples$",
        prefix + r"#progress_metric: host=algo-1, completed 50.0 % of epochs$",
        prefix + r"#progress_metric: host=algo-1, completed 100.0 % of epochs$",
        prefix + r"#throughput_metric: host=algo-1, train throughput=\d\S+ records/second$",
        prefix + r"shrinking \d\d centers into 3$",
        prefix + r"local kmeans attempt #0\. Current mean square distance \d+\.\d{6}$",
        prefix + r"local kmeans attempt #9\. Current mean square distance \d+\.\d{6}$",
        prefix + r"#quality_metric: host=algo-1, train msd <loss>=[12]\.\d+$",
        prefix + r"Test data is not provided.$",
    ):
        assert re.search(line, ended.log, re.MULTILINE), line
    metrics = [json.loads(m[1]) for m in re.finditer(r"^#metrics (.*)$", ended.log, re.M)]
    assert {m["Dimensions"]["Algorithm"] for m in metrics} == {"AWS/KMeansWebscale"}
    epochs = [m["Metrics"] for m in metrics if "epoch" in m["Dimensions"]]
    assert [epoch["Total Records Seen"]["sum"] for epoch in epochs] == [170, 290]
    assert [epoch["Reset Count"]["sum"] for epoch in epochs] == [1, 2]


def test_every_metric_of_the_image_is_found_in_the_log(job: Job, rows: Array, family: Path) -> None:
    for name in ("train", "test"):
        job.channel(name, {"a.csv": csv(rows)}, UNLABELLED)
    ended = job.run(**GIVEN, eval_metrics='["msd","ssd"]')
    regexes = tomllib.loads((family / "image.toml").read_text())["metrics"]
    found = {}
    for name, regex in regexes.items():
        values = [m[1] for line in ended.log.splitlines() if (m := re.search(regex, line))]
        assert values, name
        found[name] = float(values[-1])
    squares = float(model.load(ended.model_dir).closest(rows).squares.sum(dtype=np.float64))
    assert found["test:ssd"] == found["train:ssd"] == pytest.approx(squares)
    assert found["test:msd"] == found["train:msd"] == pytest.approx(squares / 120)


def test_every_content_type_gives_the_same_model(job: Job, rows: Array, tmp_path: Path) -> None:
    forms: dict[str, tuple[str | bytes, str | None]] = {
        "csv": (csv(rows), UNLABELLED),
        "csv with a label": ("".join(f"7,{line}\n" for line in csv(rows).split()), "text/csv"),
        "records": (encode_rows({"values": rows}), PROTOBUF),
        "labelled records": (encode_rows({"values": rows}, {"values": np.ones(120)}), PROTOBUF),
    }
    models = set()
    for name, (content, content_type) in forms.items():
        each = replace(job, base=tmp_path / name).channel("train", {"a": content}, content_type)
        ended = each.run(**GIVEN, force_dense="True")
        assert ended.exit_code == 0, ended.log
        models.add((ended.model_dir / "model_algo-1").read_bytes())
    assert len(models) == 1


def test_mxnet_reads_the_artifact_as_notebooks_do(
    job: Job, rows: Array, mxnet_python: Path
) -> None:
    ended = job.channel("train", {"a.csv": csv(rows)}, UNLABELLED).run(**GIVEN)
    code = """
import json, mxnet as mx
arrays = mx.ndarray.load("model_algo-1")
print("CENTERS", json.dumps([type(arrays).__name__, *(a.asnumpy().tolist() for a in arrays)]))
"""
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", code],
        cwd=ended.model_dir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kind, centers = json.loads(done.stdout.partition("CENTERS")[2])
    assert kind == "list"
    np.testing.assert_array_equal(model.load(ended.model_dir).centers, centers)
    planted = [[0.0, 0.0], [0.0, 20.0], [20.0, 0.0]]
    np.testing.assert_allclose(sorted(np.round(centers, -1).tolist()), planted, atol=1e-9)


@pytest.mark.parametrize(
    ("content", "content_type", "given", "message"),
    [
        ("1,2\n3\n", UNLABELLED, {}, "train/a, line 2: 1 columns, the lines before it have 2"),
        ("1,2,3\n", UNLABELLED, {}, r"train/a has 3 features, expected 2 \(feature_dim\)"),
        ("1,2\n", "text/csv", {}, "set the content type to text/csv;label_size=0"),
        ("\n\n", UNLABELLED, {}, "The channel 'train' holds no data: .* Check its S3Uri"),
        (
            b"1,2\n\xff\xfe,6\n",
            UNLABELLED,
            {},
            "train/a, line 2, column 1: the byte 0xff is no UTF-8",
        ),
        ("1,2\n4,\n", UNLABELLED, {}, "line 2, column 2: the value is missing; fill it in or"),
        ("1,2\n3,4\n", UNLABELLED, {}, "'k' is 3 and the channel 'train' has 2 rows: .* lower 'k'"),
        (encode_rows({"values": np.eye(3)}), PROTOBUF, {}, "train/a has 3 features, expected 2"),
        (
            encode_rows({"values": np.eye(2)}) + encode_rows({"values": np.eye(4)}),
            PROTOBUF,
            {},
            "train/a, record 3, byte .*: 4 values where the first record has 2",
        ),
        (
            encode_rows({"values": np.array([[1, 2], [np.nan, 6]])}),
            PROTOBUF,
            {},
            "train/a, row 2: feature 1 is not a finite 32-bit number; fill it in or leave",
        ),
        ("1,2\n", UNLABELLED, {"k": "many"}, "'many' is not valid .* 'k' must be an integer"),
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

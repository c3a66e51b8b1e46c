"""Whole jobs: the console script on an /opt/ml tree, its log, its artifact and its failures."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import encode_rows
from sagelocal_pca import model
from sagelocal_pca.hyperparameters import TABLE
from sagelocal_pca.training import FAMILY

if TYPE_CHECKING:
    from tests.containers.conftest import Job

Array = NDArray[Any]
PROTOBUF = "application/x-recordio-protobuf"
UNLABELLED = "text/csv;label_size=0"
GIVEN = {"feature_dim": 3, "num_components": 2, "mini_batch_size": 10}


@pytest.fixture(scope="session")
def rows() -> Array:
    rng = np.random.default_rng(5)
    return (rng.normal(size=(64, 3)) * [1, 3, 9] + [5, 0, -5]).astype(np.float32)


def csv(rows: Array) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def test_a_job_leaves_the_originals_log(job: Job, rows: Array) -> None:
    ended = job.channel("train", {"a.csv": csv(rows)}, UNLABELLED).run(**GIVEN)
    assert ended.exit_code == 0, ended.log
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        r"Docker entrypoint called with argument\(s\): train",
        r"Running default environment configuration script",
        prefix + r"Reading default configuration from .*: \{.*'algorithm_mode': 'regular'",
        prefix + r"Final configuration: \{.*'num_components': '2'",
        prefix + r"3 feature\(s\) found in 'data'\.$",
        prefix + r"#progress_metric: host=algo-1, completed 100.0 % of epochs$",
        prefix + r"#throughput_metric: host=algo-1, train throughput=\d\S+ records/second$",
        prefix + r"Test data is not provided.$",
    ):
        assert re.search(line, ended.log, re.MULTILINE), line
    metrics = [json.loads(m[1]) for m in re.finditer(r"^#metrics (.*)$", ended.log, re.M)]
    assert {m["Dimensions"]["Algorithm"] for m in metrics} == {"PCA"}
    epoch = next(m["Metrics"] for m in metrics if "epoch" in m["Dimensions"])
    assert (epoch["Total Records Seen"]["sum"], epoch["Total Batches Seen"]["sum"]) == (64, 7)


def test_the_test_channel_is_measured(job: Job, rows: Array) -> None:
    job.channel("train", {"a": csv(rows)}, UNLABELLED).channel("test", {"a": csv(rows)}, UNLABELLED)
    ended = job.run(**GIVEN)
    ratio = re.search(r"#quality_metric: .*test explained_variance_ratio <score>=(\S+)", ended.log)
    assert ratio is not None
    assert 0.95 < float(ratio[1]) < 1
    assert re.search(r"#test_score \(algo-1\) : \('mean_squared_recon", ended.log)


def test_every_content_type_gives_the_same_model(job: Job, rows: Array, tmp_path: Path) -> None:
    forms: dict[str, tuple[str | bytes, str | None]] = {
        "csv": (csv(rows), UNLABELLED),
        "csv with a label": ("".join(f"7,{line}\n" for line in csv(rows).split()), "text/csv"),
        "records": (encode_rows({"values": rows}), PROTOBUF),
        "labelled records": (encode_rows({"values": rows}, {"values": np.ones(64)}), PROTOBUF),
        "guessed": (encode_rows({"values": rows}), None),
    }
    models = set()
    for name, (content, content_type) in forms.items():
        each = replace(job, base=tmp_path / name).channel("train", {"a": content}, content_type)
        ended = each.run(**GIVEN)
        assert ended.exit_code == 0, ended.log
        models.add((ended.model_dir / "model_algo-1").read_bytes())
    assert len(models) == 1


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_mxnet_reads_the_artifact_as_notebooks_do(
    mode: str, job: Job, rows: Array, mxnet_python: Path
) -> None:
    job.channel("train", {"a.csv": csv(rows)}, UNLABELLED)
    ended = job.run(**GIVEN, algorithm_mode=mode, subtract_mean="True", force_dense="True")
    assert ended.exit_code == 0, ended.log
    code = """
import json, mxnet as mx
arrays = mx.ndarray.load("model_algo-1")
print("ARRAYS", json.dumps({name: array.asnumpy().tolist() for name, array in arrays.items()}))
"""
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", code],
        cwd=ended.model_dir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    arrays = {k: np.array(v) for k, v in json.loads(done.stdout.partition("ARRAYS")[2]).items()}
    assert {name: array.shape for name, array in arrays.items()} == {
        "mean": (1, 3),
        "v": (3, 2),
        "s": (2,),
    }
    assert arrays["s"][0] < arrays["s"][1]
    projected = (rows - arrays["mean"]) @ arrays["v"]
    np.testing.assert_allclose(np.linalg.norm(projected, axis=0), arrays["s"], rtol=1e-3)
    np.testing.assert_allclose(model.load(ended.model_dir).project(rows), projected, atol=1e-4)


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
        (encode_rows({"values": np.eye(2)}), PROTOBUF, {}, "train/a has 2 features, expected 3"),
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
        ("1,2,3\n", UNLABELLED, {"num_components": 4}, "'num_components' is 4 .* lower 'num_comp"),
        ("1,2,3\n", UNLABELLED, {"algorithm_mode": "exact"}, "'exact' is not one of"),
        ("1,2,3\n", UNLABELLED, {"extra_components": -2}, "'-2' is not valid .*'extra_components'"),
    ],
)
def test_bad_input_is_the_users_to_mend(
    content: str | bytes, content_type: str, given: dict[str, object], message: str, job: Job
) -> None:
    ended = job.channel("train", {"a": content}, content_type).run(**{**GIVEN, **given})
    assert ended.exit_code != 0
    assert re.search(message, ended.failure), ended.failure
    assert ended.failure.startswith("ClientError: ")


def test_required_hyperparameters_are_all_said(job: Job) -> None:
    failure = job.channel("train", {"a": "1,2,3\n"}, UNLABELLED).run().failure
    for name in ("feature_dim", "num_components", "mini_batch_size"):
        assert f"'{name}' is a required property" in failure


def test_the_readme_shows_what_is_declared(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert FAMILY.channels.markdown() in readme

"""Whole jobs: the console script on an /opt/ml tree, its log, its artifact and its failures."""

from __future__ import annotations

import ast
import gzip
import json
import re
import socket
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party.hosts import joined
from sagelocal_formats.record_protobuf import SparseRows, encode_rows, encode_sparse
from sagelocal_linear_learner import artifact, training
from sagelocal_linear_learner.hyperparameters import TABLE
from sagelocal_linear_learner.training import FAMILY
from sagelocal_train import Environment, UserError

Array = NDArray[Any]
CsvText = Callable[[Array, Array], str]
PROTOBUF = "application/x-recordio-protobuf"


@pytest.fixture(scope="session")
def classes() -> tuple[Array, Array]:
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 3, 240)
    return labels, rng.normal(0, 1, (240, 2)) + 3 * np.array([[0, 0], [1, 0], [0, 1]])[labels]


def test_a_regression_job_leaves_a_model_and_the_originals_log(
    job: Any, salaries: tuple[Array, Array], csv_text: CsvText
) -> None:
    ended = job.channel("train", {"train.csv": csv_text(*salaries)}).run(
        predictor_type="regressor", mini_batch_size=4
    )
    assert ended.exit_code == 0, ended.log
    assert artifact.load(ended.model_dir).width == 1
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        r"Docker entrypoint called with argument\(s\): train",
        r"Running default environment configuration script",
        prefix + r"Reading default configuration from .*: \{.*'mini_batch_size': '1000'",
        prefix + r"Merging with provided configuration from \S+: \{.*'mini_batch_size': '4'",
        prefix + r"Final configuration: \{.*'mini_batch_size': '4'",
        prefix + r"#quality_metric: host=algo-1, epoch=0, train mse_objective <loss>=\d",
        prefix + r"#quality_metric: host=algo-1, train mse_objective <loss>=\d",
        prefix + r"#progress_metric: host=algo-1, completed 100.0 % of epochs$",
        prefix + r"#throughput_metric: host=algo-1, train throughput=\d\S+ records/second$",
        prefix + r"Best model found for hyperparameters: \{\"optimizer\": \"adam\", ",
        prefix + r"Saved checkpoint to \"\S+/mx-mod-0000.params\"$",
        prefix + r"Test data is not provided.$",
    ):
        assert re.search(line, ended.log, re.MULTILINE), line


def test_metrics_lines_name_epoch_and_model(
    job: Any, salaries: tuple[Array, Array], csv_text: CsvText
) -> None:
    ended = job.channel("train", {"train.csv": csv_text(*salaries)}).run(
        predictor_type="regressor", num_models=3, epochs=2
    )
    found = [
        json.loads(line.removeprefix("#metrics "))
        for line in ended.log.splitlines()
        if line.startswith("#metrics ")
    ]
    per_model = [m for m in found if "train_mse_objective" in m["Metrics"]]
    assert [(m["Dimensions"]["epoch"], m["Dimensions"]["model"]) for m in per_model] == [
        (epoch, model) for epoch in range(2) for model in range(3)
    ]
    dimensions = found[0]["Dimensions"]
    assert (dimensions["Algorithm"], dimensions["Host"]) == ("Linear Learner", "algo-1")
    assert set(found[0]["Metrics"]["train_mse_objective"]) == {"sum", "count", "min", "max"}


@pytest.mark.parametrize("predictor", ["regressor", "binary_classifier", "multiclass_classifier"])
def test_every_metric_of_the_image_is_found_in_the_log(
    predictor: str, job: Any, classes: tuple[Array, Array], csv_text: CsvText, family: Path
) -> None:
    labels, features = classes
    labels = np.minimum(labels, 1) if predictor == "binary_classifier" else labels
    for name in ("train", "validation", "test"):
        job.channel(name, {"rows.csv": csv_text(labels, features)})
    given = {"num_classes": 3} if predictor == "multiclass_classifier" else {}
    ended = job.run(predictor_type=predictor, **given)
    assert ended.exit_code == 0, ended.log
    regexes = tomllib.loads((family / "image.toml").read_text())["metrics"]
    found = {}
    for name, regex in regexes.items():
        values = [m[1] for line in ended.log.splitlines() if (m := re.search(regex, line))]
        if values:
            found[name] = float(values[-1])
    expected = {
        name
        for name in regexes
        if "objective" in name or name.startswith("train:") or belongs(name, predictor)
    }
    assert set(found) == expected
    scores = re.findall(r"#test_score \(algo-1\) : (.*)", ended.log)
    assert scores
    for name, value in map(ast.literal_eval, scores):
        assert re.search(rf"test {name} <(loss|score)>={re.escape(repr(value))}$", ended.log, re.M)


def belongs(name: str, predictor: str) -> bool:
    metric = name.partition(":")[2]
    if predictor == "regressor":
        return metric in ("mse", "absolute_loss", "rmse")
    if predictor == "binary_classifier":
        return metric.startswith("binary") or metric in ("precision", "recall", "roc_auc_score")
    return metric.startswith(("multiclass", "macro")) or metric == "dcg"


def test_every_content_type_gives_the_same_model(
    tmp_path: Path, classes: tuple[Array, Array], csv_text: CsvText, job: Any
) -> None:
    labels, features = classes
    labels, features = labels.astype(np.float32), features.astype(np.float32)
    rows, columns = np.nonzero(features)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(features)))])
    sparse = SparseRows(indptr, columns, features[rows, columns], 2)
    csv = csv_text(labels, features)
    lines = csv.splitlines(keepends=True)
    forms = {
        "csv": ({"a.csv": csv}, "text/csv;label_size=1"),
        "guessed": ({"a": csv}, None),
        "nested": ({"0/a.csv": "".join(lines[:100]), "b/c.csv": "".join(lines[100:])}, "text/csv"),
        "dense": ({"x": encode_rows({"values": features}, {"values": labels})}, PROTOBUF),
        "guessed protobuf": ({"x": encode_rows({"values": features}, {"values": labels})}, None),
        "sparse": ({"x": encode_sparse(sparse, labels)}, PROTOBUF),
        "mixed": (
            {
                "a": encode_rows({"values": features[:100]}, {"values": labels[:100]}),
                "b": encode_sparse(
                    SparseRows(indptr[100:] - indptr[100], columns[200:], sparse.values[200:], 2),
                    labels[100:],
                ),
            },
            PROTOBUF,
        ),
    }
    models = {}
    for name, (files, content_type) in forms.items():
        each = replace(job, base=tmp_path / name).channel("train", files, content_type)
        ended = each.run(predictor_type="regressor", epochs=2)
        assert ended.exit_code == 0, ended.log
        models[name] = (ended.model_dir / "model_algo-1").read_bytes()
    assert {name for name, model in models.items() if model != models["csv"]} == set()


def test_all_wrong_hyperparameters_are_said_at_once(
    job: Any, salaries: tuple[Array, Array], csv_text: CsvText
) -> None:
    ended = job.channel("train", {"a.csv": csv_text(*salaries)}).run(
        predictor_type="regressor", loss="hinge_loss", mini_batch_siz=4, feature_dim="abc"
    )
    assert ended.exit_code != 0
    assert ended.failure.startswith("ClientError: ")
    for text in (
        "Additional properties are not allowed ('mini_batch_siz' was unexpected)",
        "did you mean 'mini_batch_size'?",
        "'abc' is not valid under any of the given schemas",
        "'hinge_loss' is not a loss of a regressor",
    ):
        assert text in ended.failure


def test_hidden_hyperparameters_are_accepted(
    job: Any, salaries: tuple[Array, Array], csv_text: CsvText
) -> None:
    ended = job.channel("train", {"a.csv": csv_text(*salaries)}).run(
        predictor_type="regressor", _tuning_objective_metric="validation:mse", _num_gpus="auto"
    )
    assert ended.exit_code == 0, ended.log


REGRESSOR = {"predictor_type": "regressor"}
BINARY = {"predictor_type": "binary_classifier"}
MULTICLASS = {"predictor_type": "multiclass_classifier", "num_classes": 3}


@pytest.mark.parametrize(
    ("files", "given", "message"),
    [
        ({"d/a.csv": "1,2\n3,x7\n"}, REGRESSOR, "train/d/a.csv, line 2, column 2: 'x7' is not a"),
        ({"a.csv": "1,2\n\n3,4,5\n"}, REGRESSOR, "a.csv, line 3: 3 columns, the lines before"),
        ({"a.csv": "salary,months\n1,2\n"}, REGRESSOR, "line 1, column 1: 'salary' is not a numb"),
        ({"a.csv": "salary,months\n1,2\n"}, REGRESSOR, "looks like a header"),
        ({"a.csv": "1,2\n3,\n"}, REGRESSOR, "line 2, column 2: the value is missing"),
        ({"a.csv": "1,2\n3,nan\n"}, REGRESSOR, "line 2, column 2: 'nan' is not a finite"),
        ({"a.csv": "1,2\n3,1e99\n"}, REGRESSOR, "line 2, column 2: '1e99' is not a finite"),
        (
            {"a.csv": b"1,2\n3,\xe9\n"},
            REGRESSOR,
            "line 2, column 2: the byte 0xe9 is no UTF-8 text",
        ),
        (
            {"a.csv": gzip.compress(b"1,2\n", mtime=0)},
            REGRESSOR,
            "a.csv, byte 0: .* gzip-compressed",
        ),
        ({"a.csv": ""}, REGRESSOR, "The channel 'train' holds no data"),
        ({"a.csv": "\n\n"}, REGRESSOR, "The channel 'train' holds no data"),
        ({"a.csv": "1\n2\n"}, REGRESSOR, "has one column"),
        ({"a.csv": "1,2\n", "b.csv": "1,2,3\n"}, REGRESSOR, "b.csv has 2 features, .*a.csv has 1"),
        (
            {"a.csv": "0,2\n2,3\n"},
            BINARY,
            "a.csv, row 2: the label is 2; a binary_cl",
        ),
        ({"a.csv": "0,2\n3,3\n"}, MULTICLASS, "row 2: the label is 3; .*num_classes=3.* 0 to 2"),
        (
            {"a.csv": "1,2\n"},
            {**REGRESSOR, "feature_dim": 5},
            "a.csv has 1 features, expected 5",
        ),
        ({"a.csv": "1,2\n"}, {"predictor_type": "multiclass_classifier"}, "'num_classes' is a req"),
        ({"a.csv": "1,2\n"}, {}, "'predictor_type' is a required property"),
    ],
)
def test_bad_input_is_the_users_to_mend(
    files: dict[str, str | bytes], given: dict[str, object], message: str, job: Any
) -> None:
    ended = job.channel("train", files).run(**given)
    assert ended.exit_code != 0
    assert re.search(message, ended.failure), ended.failure
    assert ended.failure.startswith("ClientError: ")
    assert "Traceback" not in ended.failure


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (
            b"1,2\n",
            "application/x-npy",
            "ContentType 'application/x-npy', which this ",
        ),
        (b"1,2\n", "text/csv;label_size=0", "label_size=0; this algorithm needs exactly one label"),
        (b"1,2\n", PROTOBUF, "train/a, byte 0: not a RecordIO record"),
        (encode_rows({"values": np.ones((2, 2))}), PROTOBUF, "has records without a label"),
        (
            encode_rows({"values": np.array([[1, 2], [np.nan, 3]])}, {"values": np.ones(2)}),
            PROTOBUF,
            "train/a, row 2: feature 1 is not a finite",
        ),
        (
            encode_rows({"values": np.eye(2)}, {"values": np.ones(2)})
            + encode_rows({"values": np.eye(3)}, {"values": np.ones(3)}),
            PROTOBUF,
            "train/a, record 3, byte .*: 3 values where the first record has 2; all records need",
        ),
        (
            encode_rows({"values": np.ones((2, 2))}, {"values": np.array([1, np.inf])}),
            PROTOBUF,
            "train/a, row 2: the label is inf",
        ),
    ],
)
def test_a_channel_of_the_wrong_kind_is_refused(
    content: bytes, content_type: str, message: str, job: Any
) -> None:
    ended = job.channel("train", {"a": content}, content_type).run(**REGRESSOR)
    assert re.search(message, ended.failure), ended.failure
    assert ended.failure.startswith("ClientError: ")


def test_a_job_without_training_data_or_with_unknown_channels_is_refused(
    job: Any, tmp_path: Path
) -> None:
    ended = job.channel("validation", {"a.csv": "1,2\n"}).run(**REGRESSOR)
    assert "'train' is a required channel: add it to the job's InputDataConfig" in ended.failure
    other = replace(job, base=tmp_path / "other").channel("train", {"a.csv": "1,2\n"})
    ended = other.channel("training", {"a.csv": "1,2\n"}).run(**REGRESSOR)
    assert "Channel 'training' is unknown to this algorithm: use 'train' or " in ended.failure


def test_a_validation_channel_of_another_width_is_refused(job: Any) -> None:
    ended = (
        job.channel("train", {"a.csv": "1,2\n2,3\n"})
        .channel("validation", {"a.csv": "1,2,3\n"})
        .run(**REGRESSOR)
    )
    assert "validation/a.csv has 2 features, expected 1 (the width of the training" in ended.failure


def test_training_that_diverges_is_the_algorithms_failure(job: Any) -> None:
    rows = "".join(f"{1e30 * (-1) ** i},{1e30 * i}\n" for i in range(1, 50))
    ended = job.channel("train", {"a.csv": rows}).run(
        predictor_type="regressor",
        optimizer="sgd",
        learning_rate=1e6,
        normalize_data="false",
        normalize_label="false",
    )
    assert ended.exit_code != 0
    assert "The loss of all 32 models is infinite or not a number" in ended.failure


def test_one_row_and_constant_columns_are_no_problem(job: Any) -> None:
    ended = job.channel("train", {"a.csv": "5,1,2\n"}).run(**REGRESSOR)
    assert ended.exit_code == 0, ended.log
    model = artifact.load(ended.model_dir)
    assert model.scores(np.array([[1.0, 2.0]]))[0] == pytest.approx(5, abs=0.2)


def on_two_hosts(
    job: Any, shards: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Run a job on two hosts, which are threads with a loopback address each; their folders."""
    hosts = [f"127.0.0.{number + 2}" for number in range(len(shards))]
    with socket.socket() as probe:
        probe.bind((hosts[0], 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(training, "joined", partial(joined, port=port, timeout_seconds=60))
    environments = []
    for host, content in zip(hosts, shards, strict=True):
        each = replace(job, base=tmp_path / host).channel(
            "train", {f"{host}.csv": content}, S3DistributionType="ShardedByS3Key"
        )
        config = each.base / "input" / "config" / "resourceconfig.json"
        config.write_text(json.dumps({"current_host": host, "hosts": hosts}))
        environments.append(Environment.read(each.prepare(**REGRESSOR)))
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(training.main, environments))
    return [tmp_path / host for host in hosts]


def test_two_hosts_with_a_shard_each_make_one_model_of_all_rows(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    months = np.sort(rng.uniform(0, 40, 400))
    rows = [f"{900 + 5 * month + rng.normal(0, 2)},{month}\n" for month in months]
    # The second host's rows alone would make another line.
    rows[300:] = [f"{2000 - 20 * month},{month}\n" for month in months[300:]]
    first, second = on_two_hosts(
        job, ["".join(rows[:300]), "".join(rows[300:])], tmp_path, monkeypatch
    )
    assert [path.name for path in (first / "model").glob("*")] == ["model_127.0.0.2"]
    assert list((second / "model").glob("*")) == []
    model = artifact.load(first / "model")
    table = np.array([row.split(",") for row in rows], float)
    best = np.polynomial.Polynomial.fit(table[:, 1], table[:, 0], 1)(table[:, 1])
    left = np.mean(np.square(model.scores(table[:, 1:]) - table[:, 0]))
    assert left < 1.02 * np.mean(np.square(best - table[:, 0]))
    # Said once, by the first host, of the rows of both.
    [(host, said)] = re.findall(r"host=(\S+), train mse <loss>=(\S+)", "".join(capfd.readouterr()))
    assert host == "127.0.0.2"
    assert float(said) == pytest.approx(left, rel=1e-3)


def test_hosts_whose_files_differ_in_width_are_told(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"features: 1 on 127\.0\.0\.2, 2 on 127\.0\.0\.3\. All"):
        on_two_hosts(job, ["1,2\n", "1,2,3\n"], tmp_path, monkeypatch)


def test_the_readme_shows_the_hyperparameter_table(family: Path) -> None:
    assert TABLE.markdown() in (family / "README.md").read_text()
    assert FAMILY.channels.markdown() in (family / "README.md").read_text()


def test_the_package_and_its_requirements_agree(family: Path) -> None:
    lock = (family / "requirements.lock").read_text()
    base = (family.parent / "base" / "requirements.lock").read_text()
    pins = re.compile(r"^([\w-]+)==(\S+)", re.MULTILINE)
    assert "numpy" in dict(pins.findall(lock))
    assert set(pins.findall(base)) <= set(pins.findall(lock))

"""Jobs that cannot be done: the failure names the file, the row and the next step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sagelocal_deepar.inputs import Inputs, read_inputs
from sagelocal_train import Environment, UserError

from tests.containers.deepar.records import TINY, Record, json_lines, seasonal

if TYPE_CHECKING:
    from tests.containers.conftest import Job
    from tests.containers.deepar.conftest import Trainer

GOOD = seasonal(6, 80)


def told(job: Job, **hyperparameters: object) -> str:
    """What a job says that is the user's fault, before it trains."""
    with pytest.raises(UserError) as caught:
        inputs(job, **hyperparameters)
    return str(caught.value)


def inputs(job: Job, **hyperparameters: object) -> Inputs:
    return read_inputs(Environment.read(job.prepare(**{**TINY, **hyperparameters})))


def with_third(change: dict[str, Any], every: dict[str, Any] | None = None) -> str:
    """Good records, of which the third is changed; None takes a member out."""
    records: list[Record] = [{**record, **(every or {})} for record in GOOD]
    records[2] |= change
    records[2] = {name: value for name, value in records[2].items() if value is not None}
    return json_lines(records)


def test_a_job_that_cannot_be_done_ends_with_2_and_a_failure_file(job: Job, train: Trainer) -> None:
    job.channel("train", {"a.json": with_third({"start": None})}, None)
    ended = train(job)

    assert ended.exit_code == 2, ended.log
    assert ended.failure.startswith('ClientError: train/a.json, line 3: it has no "start"')
    assert not list(ended.model_dir.glob("*"))


FEATURES = {"dynamic_feat": [[1.0] * 80]}


@pytest.mark.parametrize(
    ("change", "every", "words"),
    [
        ({"start": None}, {}, ['it has no "start"', "2009-11-01 00:00:00"]),
        ({"start": "1.11.2009"}, {}, ["\"start\" is '1.11.2009'", "YYYY-MM-DD HH:MM:SS"]),
        ({"start": "2009-11-01T00:00:00+01:00"}, {}, ["time zone; leave it out"]),
        ({"start": 20091101}, {}, ['"start" is 20091101, not a text']),
        ({"target": None}, {}, ['it has no "target"']),
        ({"target": 5}, {}, ['"target" is 5, not a list of numbers']),
        ({"target": [1, "x", 3]}, {}, ["\"target\" has 'x' at position 2", 'null or "NaN"']),
        ({"target": [1, True]}, {}, ['"target" has True at position 2']),
        ({"target": [1, [2]]}, {}, ['"target" has [2] at position 2']),
        ({"target": [1, 1e60]}, {}, ["1e+60 at position 2", "no finite 32-bit number"]),
        ({"cat": [0]}, {}, ['"cat" has 1 entries', "train/a.json, line 1 has 0", "'ignore'"]),
        ({"cat": [0, 1]}, {"cat": [0]}, ['"cat" has 2 entries', "all records need the same"]),
        ({"cat": [-1]}, {"cat": [0]}, ['"cat" has -1, which is no whole number from 0']),
        ({"cat": [0.5]}, {"cat": [0]}, ['"cat" has 0.5']),
        ({"cat": "a"}, {"cat": [0]}, ["\"cat\" is 'a', not a list"]),
        ({"dynamic_feat": None}, FEATURES, ['"dynamic_feat" has 0 series', "line 1 has 1"]),
        (
            {"dynamic_feat": [[1.0] * 81]},
            FEATURES,
            ['series 1 of "dynamic_feat" has 81 values; it needs as many as "target", 80'],
        ),
        (
            {"dynamic_feat": [[1.0] * 79 + [None]]},
            FEATURES,
            ['series 1 of "dynamic_feat" has no value at position 80', "may not be missing"],
        ),
        ({"dynamic_feat": [1.0]}, FEATURES, ['series 1 of "dynamic_feat" is 1.0, not a list']),
    ],
)
def test_a_wrong_record_is_told_with_its_line(
    job: Job, change: dict[str, Any], every: dict[str, Any], words: list[str]
) -> None:
    job.channel("train", {"a.json": with_third(change, every)}, None)
    text = told(job)

    assert text.startswith("train/a.json, line 3: ")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"start": "2016', ["line 2 is not JSON", '\'{"start": "2016\'', "JSON Lines"]),
        (b"[1, 2]", ["line 2: it is [1, 2], not an object"]),
        (b'{"target": [Infinity]}', ["Infinity is no number of JSON"]),
        (b"1,2,3", ["line 2 is not JSON"]),
        (b"caf\xe9", ["line 2 is not UTF-8 text", "0xe9", "iconv"]),
    ],
)
def test_a_line_that_is_no_record_is_told(job: Job, line: bytes, words: list[str]) -> None:
    job.channel("train", {"a.json": json_lines(GOOD[:1]).encode() + line + b"\n"}, None)
    text = told(job)

    assert text.startswith("train/a.json, line 2")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.parquet", b"{}", "is no Parquet file: it begins with b'{}'"),
        ("a.json.gz", b"{}", "is not gzipped: it begins with b'{}'"),
        ("a.json.gz", b"\x1f\x8b\x08\x00 broken", "cannot be unzipped"),
        ("a.parquet", b"PAR1 and no more PAR1", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_told(
    job: Job, name: str, content: bytes, words: str
) -> None:
    assert words in told(job.channel("train", {name: content}, None))


@pytest.mark.parametrize("files", [{}, {"a.json": "\n"}, {"_SUCCESS": "x", ".a.json": "{}"}])
def test_an_empty_channel_is_told(job: Job, files: dict[str, str]) -> None:
    job.channel("train", files, None)
    (job.base / "input" / "data" / "train").mkdir(exist_ok=True)
    text = told(job)

    assert "The channel 'train' holds no data" in text
    assert "S3Uri" in text


def test_series_that_are_too_short_are_told(job: Job) -> None:
    job.channel("train", {"a.json": json_lines(seasonal(60, 6))}, None)
    text = told(job)

    assert "more than 6 values (prediction_length)" in text
    assert "train/a.json, line 1" in text


def test_too_few_observations_are_told(job: Job) -> None:
    job.channel("train", {"a.json": json_lines(seasonal(3, 80))}, None)
    text = told(job)

    assert "240 observations in 3 time series; DeepAR needs 300" in text


def test_a_short_series_of_the_test_channel_is_told_with_its_line(job: Job) -> None:
    job.channel("train", {"a.json": json_lines(GOOD)}, None)
    job.channel("test", {"b.json": with_third({"target": [1.0] * 6})}, None)
    text = told(job)

    assert text.startswith('test/b.json, line 3: "target" has 6 values')


def test_a_category_that_training_does_not_know_is_told_with_its_line(job: Job) -> None:
    job.channel("train", {"a.json": with_third({}, {"cat": [1]})}, None)
    job.channel("test", {"b.json": with_third({"cat": [2]}, {"cat": [1]})}, None)
    text = told(job)

    assert text.startswith('test/b.json, line 3: "cat" has 2 at position 1')
    assert "from 0 to 1" in text


@pytest.mark.parametrize(
    ("likelihood", "value", "words"),
    [
        ("negative-binomial", -1, ['"target" has -1 at position 2', "whole numbers from 0"]),
        ("negative-binomial", 0.5, ['"target" has 0.5 at position 2']),
        ("beta", 1.5, ['"target" has 1.5 at position 2', "values from 0 to 1"]),
        ("beta", -0.1, ['"target" has -0.1 at position 2']),
    ],
)
@pytest.mark.parametrize("channel", ["train", "test"])
def test_values_that_the_likelihood_cannot_have_are_told(
    job: Job, likelihood: str, value: float, words: list[str], channel: str
) -> None:
    good = json_lines([{"start": "2016-01-01", "target": [0, 1] * 100}] * 3)
    wrong = json.dumps({"start": "2016-01-01", "target": [0, value, 1] * 30})
    job.channel("train", {"a.json": good}, None)
    job.channel(channel, {"b.json": good + wrong}, None)
    text = told(job, likelihood=likelihood)

    assert text.startswith(f"{channel}/b.json, line 4: ")
    assert "Set likelihood to 'student-T'" in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"time_freq": "yearly"}, ["'yearly' is no frequency", "'5min'"]),
        ({"likelihood": "poisson"}, ["'poisson' is not one of", "'student-T'"]),
        ({"cardinality": "[2, 0]"}, ["'cardinality' must be 'auto', 'ignore'"]),
        ({"num_dynamic_feat": "-1"}, ["'num_dynamic_feat' must be"]),
        ({"test_quantiles": "[0.1, 1.5]"}, ["between 0 and 1"]),
        ({"test_quantiles": "0.5"}, ["'test_quantiles' must be a JSON list"]),
        ({"epoch": 5}, ["'epoch' was unexpected", "did you mean 'epochs'?"]),
        ({"dropout_rate": 1}, ["'dropout_rate' must be a number"]),
        ({"cardinality": "[2]"}, ["'cardinality' is [2], and no record", "'auto'"]),
        ({"num_dynamic_feat": 2}, ['"dynamic_feat" has 0 series', "'num_dynamic_feat' is 2"]),
    ],
)
def test_wrong_hyperparameters_are_told(
    job: Job, hyperparameters: dict[str, object], words: list[str]
) -> None:
    text = told(job.channel("train", {"a.json": json_lines(GOOD)}, None), **hyperparameters)

    for word in words:
        assert word in text


def test_all_missing_hyperparameters_are_told_at_once(job: Job) -> None:
    job.channel("train", {"a.json": json_lines(GOOD)}, None)
    with pytest.raises(UserError) as caught:
        read_inputs(Environment.read(job.prepare(num_cells=5)))

    for name in ("time_freq", "context_length", "prediction_length", "epochs"):
        assert f"{name!r} is a required property" in str(caught.value)


def test_a_missing_channel_and_one_too_many_are_told(job: Job) -> None:
    job.channel("validation", {"a.json": json_lines(GOOD)}, None)
    text = told(job)

    assert "'train' is a required channel" in text
    assert "Channel 'validation' is unknown" in text


def test_a_pipe_is_told(job: Job) -> None:
    job.channel("train", {"a.json": json_lines(GOOD)}, None, TrainingInputMode="Pipe")
    assert "TrainingInputMode 'Pipe'" in told(job)

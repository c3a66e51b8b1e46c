"""The small parts: error texts, hosts, log lines, configuration, failure texts."""

from __future__ import annotations

import errno
import json
import logging
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_train import Environment, log_lines, machine, outcome
from sagelocal_train.error_text import MAX_MESSAGE_CHARACTERS, error_message
from sagelocal_train.errors import (
    FAILURE_REASON_CHARACTERS,
    AlgorithmError,
    CommandFailed,
    PlatformError,
    ScriptError,
    UserError,
)
from sagelocal_train.hosts import wait_until_resolvable
from sagelocal_train.metrics import PROGRESS, THROUGHPUT, Metric
from sagelocal_train.paths import Paths

CHAINED = """\
Epoch 1
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    d["x"]
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise ValueError("no column x\\nin the file")
ValueError: no column x
in the file
"""


def test_the_last_error_of_a_chain_is_the_message() -> None:
    assert error_message(CHAINED) == (
        "ValueError: no column x\nin the file\n"
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in <module>\n'
        '    raise ValueError("no column x\\nin the file")'
    )


def test_a_log_without_an_error_gives_its_last_lines() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))

    message = error_message(text)

    assert message.endswith("line 998\nline 999")
    assert len(message) <= MAX_MESSAGE_CHARACTERS


def test_a_progress_bar_is_not_taken_for_one_line() -> None:
    assert error_message("10%\r20%\r30%\rout of data").endswith("30%\nout of data")


@given(st.text())
def test_a_message_is_never_too_long(text: str) -> None:
    assert len(error_message(text)) <= MAX_MESSAGE_CHARACTERS


@given(st.text(min_size=1, max_size=30), st.integers(0, 1000), st.integers(0, 300))
def test_a_long_cause_still_leaves_room_for_the_command(word: str, times: int, calls: int) -> None:
    cause = word * times
    lines = "".join(f"  File {number}\n" for number in range(calls))
    message = error_message(f"Traceback (most recent call last):\n{lines}ValueError: {cause}")

    failure = CommandFailed("ExecuteUserScriptError", 1, message, "python train.py").failure_text

    assert "python train.py" in failure[:FAILURE_REASON_CHARACTERS]


def test_a_tracebacks_first_lines_do_not_need_the_end() -> None:
    cut_off = "Traceback (most recent call last):\n  File 'a.py', line 1"

    assert error_message(cut_off) == cut_off


def test_hosts_that_resolve_are_not_waited_for() -> None:
    wait_until_resolvable(["localhost", "127.0.0.1"], timeout_seconds=0)


def test_a_host_that_resolves_later_is_waited_for() -> None:
    answers = iter([OSError("not yet"), OSError("not yet"), "10.0.0.1"])

    def resolve(host: str) -> object:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    wait_until_resolvable(["algo-2"], resolve=resolve)

    assert next(answers, "all were asked for") == "all were asked for"


def test_a_host_that_never_resolves_is_named() -> None:
    def resolve(host: str) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(PlatformError, match="The host 'algo-2' of this job has no address after 0"):
        wait_until_resolvable(["algo-2"], timeout_seconds=0, resolve=resolve)


def test_log_lines_have_the_algorithms_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:]
    try:
        log_lines.configure()
        logging.getLogger("any").info("epoch %d", 3)
    finally:
        logging.root.handlers[:] = before

    line = capsys.readouterr().out
    assert re.fullmatch(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] epoch 3\n", line)


def test_quality_lines_are_found_by_the_services_regexes() -> None:
    objective = Metric(
        "train:objective_loss",
        r"#quality_metric: host=\S+, epoch=\S+, train \S+_objective <loss>=(\S+)",
    )
    line = log_lines.quality_line("algo-1", "train", "squared_loss_objective", 0.25, epoch=3)

    assert line == (
        "#quality_metric: host=algo-1, epoch=3, train squared_loss_objective <loss>=0.25"
    )
    assert objective.find(line) == 0.25
    assert objective.find(log_lines.quality_line("algo-1", "train", "x_objective", 1)) is None
    assert log_lines.quality_line("h", "test", "f", 1, kind="score", epoch=0, batch=2) == (
        "#quality_metric: host=h, epoch=0, batch=2, test f <score>=1.0"
    )


def test_progress_and_throughput_are_found_by_the_services_regexes() -> None:
    assert Metric(*PROGRESS).find(log_lines.progress_line("algo-1", 20)) == 20.0
    assert Metric(*THROUGHPUT).find(log_lines.throughput_line("algo-1", 123.4)) == 123.4
    assert log_lines.score_line("algo-1", "accuracy", 0.92) == (
        "#test_score (algo-1) : ('accuracy', 0.92)"
    )


def test_a_metrics_line_is_json_after_its_tag(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.print_metrics(
        {"update.time": log_lines.Aggregate.of(1.5, 2.5)},
        start=1.0,
        end=2.0,
        dimensions={"Algorithm": "Linear Learner", "Host": "algo-1", "epoch": 0},
    )

    tag, _, document = capsys.readouterr().out.partition(" ")
    assert tag == "#metrics"
    assert json.loads(document) == {
        "StartTime": 1.0,
        "EndTime": 2.0,
        "Dimensions": {"Algorithm": "Linear Learner", "Host": "algo-1", "epoch": 0},
        "Metrics": {"update.time": {"sum": 4.0, "count": 2, "min": 1.5, "max": 2.5}},
    }


@pytest.mark.parametrize(
    ("error", "exit_code", "text"),
    [
        (UserError("bad"), 2, "ClientError: bad"),
        (ScriptError("bad"), 1, "ClientError: bad"),
        (AlgorithmError("bad"), 1, "bad"),
        (PlatformError("bad"), 1, "PlatformError: bad"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "PlatformError: OSError: [Errno 28]"),
        (MemoryError(), 1, "MemoryError: use an instance type with more memory"),
        (KeyError("x"), 1, "KeyError: 'x'"),
    ],
)
def test_every_error_has_an_owner_and_a_code(error: Exception, exit_code: int, text: str) -> None:
    assert outcome.exit_code(error) == exit_code
    assert outcome.failure_text(error).startswith(text)


def test_a_failure_file_that_cannot_be_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "output").write_text("a file where a folder should be")

    outcome.write_failure(Paths(tmp_path), "the reason")

    assert "it would say: the reason" in caplog.text


def test_a_channel_that_is_no_object_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "input/config"
    config.mkdir(parents=True)
    (config / "inputdataconfig.json").write_text('{"train": "s3://bucket"}')

    with pytest.raises(UserError, match=r"Channel 'train' in .* is 's3://bucket', not a JSON obj"):
        Environment.read({"SAGEMAKER_BASE_DIR": str(tmp_path)})


def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "input/config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text("[1]")

    with pytest.raises(UserError, match="holds list, not a JSON object"):
        Environment.read({"SAGEMAKER_BASE_DIR": str(tmp_path)})


def test_a_snapshot_knows_channels_checkpoints_and_region(tmp_path: Path) -> None:
    config = tmp_path / "input/config"
    config.mkdir(parents=True)
    (tmp_path / "input/data/train/b").mkdir(parents=True)
    (tmp_path / "input/data/train/b/1.csv").touch()
    (tmp_path / "input/data/train/a.csv").touch()
    (config / "inputdataconfig.json").write_text('{"train": {"TrainingInputMode": "Pipe"}}')
    (config / "checkpointconfig.json").write_text('{"S3Uri": "s3://b/c"}')

    job = Environment.read({"SAGEMAKER_BASE_DIR": str(tmp_path), "AWS_REGION": "eu-west-1"})

    train = job.channels["train"]
    assert [path.name for path in train.files()] == ["a.csv", "1.csv"]
    assert train.pipe(3) == tmp_path / "input/data/train_3" == job.paths.pipe("train", 3)
    assert job.checkpoints is not None
    assert (job.checkpoints.local_path, job.checkpoints.s3_uri) == (
        tmp_path / "checkpoints",
        "s3://b/c",
    )
    assert job.region == "eu-west-1"


def test_processors_and_devices_are_counted(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()

    assert machine.gpu_count(tmp_path, {}) == 2
    for shown, seen in {"0": 1, "": 0, "1,0": 2, "0,1,2": 2, "0,-1,1": 1}.items():
        assert machine.gpu_count(tmp_path, {"CUDA_VISIBLE_DEVICES": shown}) == seen
    assert machine.cpu_count() >= 1

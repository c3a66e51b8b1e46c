"""Metrics in log files, with expressions and lines that would hang whoever tried them himself."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from sagelocal.domain.metrics import MetricData, MetricDefinition
from sagelocal.engine.metric_reading import every_value, last_values

LOSS = MetricDefinition("loss", r"loss=(\S+)")
CATASTROPHE = MetricDefinition("catastrophe", r"^(a+)+=(\S+)")


def write_log(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{1000 * n}\t{line}\n" for n, line in enumerate(lines, start=1)))
    return path


def test_the_last_value_of_all_hosts_counts(tmp_path: Path) -> None:
    first = write_log(tmp_path / "algo-1.log", "loss=3", "nothing", "loss=1", "loss=low")
    second = write_log(tmp_path / "algo-2.log", "loss=4", "loss=2")
    missing = tmp_path / "algo-3.log"
    assert last_values([LOSS], [first, second, missing]) == (MetricData("loss", 1.0, 3.0),)


def test_an_expression_that_takes_for_ever_is_given_up_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hard = "a" * 60
    path = write_log(tmp_path / "log", "loss=2", "aaa=7", *[hard] * 50, "loss=1", "aaa=8")
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        found = last_values([CATASTROPHE, LOSS], [path])
    assert found == (MetricData("loss", 1.0, 53.0),)
    assert time.monotonic() - begin < 30
    assert "the metric catastrophe was given up" in caplog.text


def test_one_slow_line_is_passed_over(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log", "x=1", "a" * 60, "x=2")
    definition = MetricDefinition("x", r"(?:^(?:a+)+|x)=(\S+)")
    assert last_values([definition], [path]) == (MetricData("x", 2.0, 3.0),)


def test_every_value_has_its_time(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log", "loss=3", "nothing", "loss=1")
    assert every_value(LOSS, [path]) == (MetricData("loss", 3.0, 1.0), MetricData("loss", 1.0, 3.0))


def test_without_definitions_nothing_is_read(tmp_path: Path) -> None:
    assert last_values([], [tmp_path]) == ()


def test_a_log_that_cannot_be_read_costs_its_metrics_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert last_values([LOSS], [tmp_path]) == ()
    assert "cannot be read" in caplog.text

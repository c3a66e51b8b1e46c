"""Metrics found in log lines."""

from __future__ import annotations

import pytest
from sagelocal.domain.metrics import MetricDefinition, final_metrics


@pytest.mark.parametrize(
    ("regex", "line", "value"),
    [
        (
            r"#quality_metric: host=\S+, epoch=\S+, train \S+_objective <loss>=(\S+)",
            "#quality_metric: host=algo-1, epoch=3, train squared_loss_objective <loss>=0.69",
            0.69,
        ),
        (
            r".*\[[0-9]+\].*#011validation-rmse:(\S+)",
            "[12]\ttrain-rmse:1\tvalidation-rmse:2.5",
            2.5,
        ),
        (
            r".*\[[0-9]+\].*#011validation-rmse:(\S+)",
            "[4]\ttrain-rmse:1.5\tvalidation-rmse:2.25\tvalidation-mae:0.5",
            2.25,
        ),
        (r"rmse:\t(\S+)", "rmse:\t3", 3.0),
        (r"loss=(\S+)", "loss=1e-3", 0.001),
        (r"loss=(\S+)", "loss=low", None),
        (r"loss=(\S+)", "loss=inf", None),
        (r"loss", "loss=1", None),
        (r"loss=(\d+)?", "loss=", None),
        (r"loss=(\S+)", "accuracy=1", None),
    ],
)
def test_the_first_group_is_the_value(regex: str, line: str, value: float | None) -> None:
    assert MetricDefinition("m", regex).value_in(line) == value


def test_the_latest_line_wins_whatever_the_order_of_hosts() -> None:
    definitions = [MetricDefinition("b", r"b=(\S+)"), MetricDefinition("a", r"a=(\S+)")]
    lines = [(1.0, "a=1"), (5.0, "a=5 b=2"), (3.0, "a=3")]
    found = final_metrics(definitions, lines)
    assert [(m.name, m.value, m.timestamp) for m in found] == [("b", 2.0, 5.0), ("a", 5.0, 5.0)]

"""What forecasts are worth: on ends of series that were not seen, against "as a season ago"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_deepar import artifact
from sagelocal_deepar.accuracy import accuracy
from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.series import series_of

from tests.containers.deepar.records import Record, json_lines, seasonal, without_end

if TYPE_CHECKING:
    from tests.containers.conftest import Job
    from tests.containers.deepar.conftest import Trainer

QUANTILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def counts(count: int, length: int, season: int) -> list[Record]:
    """Counts whose mean has a season, and which vary more than Poisson's."""
    random = np.random.default_rng(2)
    records = []
    for _ in range(count):
        level, phase = 2 + 30 * random.random(), random.integers(season)
        mean = level * (1 + 0.7 * np.sin((np.arange(length) + phase) * 2 * np.pi / season))
        values = random.poisson(random.gamma(5.0, mean / 5.0))
        records.append({"start": "2020-01-01 00:00:00", "target": values.tolist()})
    return records


def trending(count: int, length: int, season: int) -> list[Record]:
    """Growth, a season that grows with it, and errors that last."""
    random = np.random.default_rng(3)
    records = []
    for _ in range(count):
        level, growth = 50 + 100 * random.random(), 0.01 * random.random()
        steps = np.arange(length)
        wave = 1 + 0.3 * np.sin((steps + random.integers(season)) * 2 * np.pi / season)
        error = np.zeros(length)
        for step in range(1, length):
            error[step] = 0.5 * error[step - 1] + 0.04 * random.normal()
        values = level * (1 + growth * steps) * wave * (1 + error)
        records.append({"start": "2000-01-01 00:00:00", "target": values.round(3).tolist()})
    return records


CASES: dict[str, tuple[Callable[..., list[Record]], tuple[int, ...], dict[str, Any]]] = {
    "hours": (
        seasonal,
        (80, 250, 24),
        {"time_freq": "H", "context_length": 48, "prediction_length": 24, "likelihood": "gaussian"},
    ),
    "days of counts": (
        counts,
        (80, 200, 7),
        {
            **{"time_freq": "D", "context_length": 28, "prediction_length": 14},
            "likelihood": "negative-binomial",
        },
    ),
    "months that grow": (
        trending,
        (80, 108, 12),
        {"time_freq": "M", "context_length": 24, "prediction_length": 12},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("make", "size", "given"), CASES.values(), ids=CASES)
def test_bands_hold_what_they_promise_and_quantiles_beat_the_season_before(
    job: Job,
    train: Trainer,
    make: Callable[..., list[Record]],
    size: tuple[int, ...],
    given: dict[str, Any],
) -> None:
    records, season, steps = make(*size), size[-1], given["prediction_length"]
    job.channel("train", {"a.json": json_lines(without_end(records, steps))}, None)
    ended = train(job, **given, epochs=30, num_cells=30, num_layers=2, mini_batch_size=32,
                  learning_rate=0.003)  # fmt: skip
    assert ended.exit_code == 0, ended.log

    frequency = Frequency.parse(given["time_freq"])
    model = artifact.load(ended.model_dir)
    known = [series_of(record, frequency) for record in without_end(records, steps)]
    samples = model.samples(known, 100)
    truth = np.array([record["target"][-steps:] for record in records], np.float32)
    ours = accuracy(truth, samples, QUANTILES).mean_weighted_quantile_loss
    naive = accuracy(truth, season_before(known, season, steps), QUANTILES)

    low, high = np.quantile(samples, [0.1, 0.9], axis=1)
    assert 0.70 <= ((low <= truth) & (truth <= high)).mean() <= 0.90
    assert ours < 0.85 * naive.mean_weighted_quantile_loss


def season_before(known: list[Any], season: int, steps: int) -> NDArray[np.float32]:
    """The value a season before, and what it was wrong by in the past around it."""
    found = []
    for each in known:
        target = each.target
        point = np.array([target[len(target) - season + step % season] for step in range(steps)])
        errors = (target[season:] - target[:-season])[-100:]
        found.append(point[None, :] + np.quantile(errors, np.linspace(0.005, 0.995, 100))[:, None])
    return np.array(found, np.float32)

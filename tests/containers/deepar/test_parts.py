"""Time, scales, windows, draws and figures, without a network."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_deepar.accuracy import accuracy
from sagelocal_deepar.calibration import coverage, held_back
from sagelocal_deepar.dataset import Laid, seen
from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.hyperparameters import LIKELIHOODS, TABLE, Likelihood, settings_of
from sagelocal_deepar.inputs import FAMILY
from sagelocal_deepar.likelihoods import drawn
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape

REQUIRED = {"time_freq": "H", "context_length": "5", "prediction_length": "3", "epochs": "1"}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("M", Frequency(1, "M")),
        ("2W", Frequency(2, "W")),
        ("D", Frequency(1, "D")),
        ("12H", Frequency(12, "H")),
        ("5min", Frequency(5, "min")),
        ("5 min", Frequency(5, "min")),
        ("15T", Frequency(15, "min")),
        ("MS", Frequency(1, "M")),
    ],
)
def test_a_frequency_is_a_unit_and_how_many(text: str, means: Frequency) -> None:
    assert Frequency.parse(text) == means
    assert Frequency.parse(str(means)) == means


@pytest.mark.parametrize("text", ["", "Y", "0H", "min5", "-1D", "1.5H", "5 minutes"])
def test_what_is_no_frequency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no frequency"):
        Frequency.parse(text)


@pytest.mark.parametrize(
    ("frequency", "start", "steps", "same"),
    [
        ("M", "2020-01-31 10:00:00", 13, "2021-02-01"),
        ("W", "2020-01-01", 2, "2020-01-15 05:00:00"),
        ("D", "2020-02-28 23:59:00", 2, "2020-03-01"),
        ("H", "2020-02-28 23:00:00", 2, "2020-02-29T01:00:00"),
        ("5min", "1969-12-31 23:55:00", 2, "1970-01-01 00:05:00"),
    ],
)
def test_steps_lead_to_dates(frequency: str, start: str, steps: int, same: str) -> None:
    one = Frequency.parse(frequency)

    assert one.time_of(start) + steps * one.step == one.time_of(same)


@pytest.mark.parametrize("frequency", ["M", "3M", "W", "D", "H", "min", "5min"])
def test_the_calendar_tells_times_apart_and_returns(frequency: str) -> None:
    one = Frequency.parse(frequency)
    times = one.time_of("2019-12-30 00:00:00") + np.arange(20) * one.step
    points = one.calendar(times)

    assert points.shape == (20, one.features)
    assert np.abs(points).max() <= 1
    half = one.features // 2
    np.testing.assert_allclose(points[:, :half] ** 2 + points[:, half:] ** 2, 1, atol=1e-5)
    assert len(np.unique(points.round(5), axis=0)) == (
        4 if frequency == "3M" else min(20, 12) if frequency == "M" else 20
    )


def test_hours_see_the_last_ones_days_and_weeks_ago() -> None:
    lags = Frequency.parse("H").lags(10_000)

    assert {1, 2, 7, 23, 24, 25, 48, 167, 168, 169, 336} <= set(lags)
    assert Frequency.parse("H").lags(30) == (1, 2, 3, 4, 5, 6, 7, 23, 24, 25)
    assert {7, 14, 28, 365} <= set(Frequency.parse("D").lags(10_000))
    assert {11, 12, 13, 24, 36} <= set(Frequency.parse("M").lags(10_000))
    assert 288 in Frequency.parse("5min").lags(10_000)
    assert Frequency.parse("12M").lags(1) == (1,)


def shape_of(likelihood: Likelihood = "gaussian", **more: object) -> Shape:
    lengths = {"context_length": 4, "prediction_length": 2, "lags": (1, 3), "scale_length": 4}
    return Shape(frequency=Frequency.parse("H"), likelihood=likelihood, **(lengths | more))  # type: ignore[arg-type]


def test_a_window_sees_what_was_before_each_step_and_nothing_of_other_series() -> None:
    series = [Series(0, np.arange(10, dtype=np.float32) + 100 * number) for number in range(3)]
    windows = Laid(series, shape_of(), room_after=2).windows(np.array([1, 2]), np.array([6, 1]))

    np.testing.assert_array_equal(windows.values[0], [102, 103, 104, 105, 106, 107])
    np.testing.assert_array_equal(windows.lagged[0, :, 0], [101, 102, 103, 104, 105, 106])
    np.testing.assert_array_equal(windows.lagged[0, :3, 1], [np.nan, 100, 101])
    np.testing.assert_array_equal(windows.values[1], [np.nan] * 3 + [200, 201, 202])
    assert windows.location.tolist() == [103.5, 200.0]


def test_what_is_missing_is_nothing_and_said() -> None:
    three, two = np.full(2, 3, np.float32), np.full(2, 2, np.float32)
    found = seen(np.array([[3, np.nan], [np.nan, 5]], np.float32), three, two)

    np.testing.assert_array_equal(found, [[0, 0, 1], [0, 1, 0]])


@given(st.floats(1e-3, 1e6), st.floats(-1e3, 1e3))
def test_scaled_values_look_alike_whatever_their_size(size: float, offset: float) -> None:
    values = np.array([[1, 2, 4, 1, 2, 4, 3, 1] * 20], np.float32)
    moved = ((values.astype(np.float64) + offset) * size).astype(np.float32)
    ratio = 1 / max(abs(2.25 + offset), 1)
    likely = shape_of(usual_scale=size, usual_ratio=min(ratio, 1))
    location, scale = likely.scales(moved)

    mean = (values.mean() + offset) * size
    assert location[0] == pytest.approx(mean, rel=1e-3, abs=1e-3 * size)
    deviation = np.abs(values - values.mean()).mean() * size
    assert deviation / 1.5 < scale[0] < deviation * 1.5


def test_series_of_which_nothing_is_known_have_what_is_usual() -> None:
    nothing = np.full((1, 4), np.nan, np.float32)

    for shape, usual in (
        (shape_of(usual_location=7.0, usual_scale=3.0), [7, 3]),
        (shape_of("negative-binomial", usual_scale=5.0), [0, 5]),
        (shape_of("beta"), [0, 1]),
    ):
        np.testing.assert_array_equal(np.concatenate(shape.scales(nothing)), usual)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_draws_have_the_mean_and_are_as_wide_as_asked(likelihood: Likelihood) -> None:
    count = 40_000
    raw = np.tile(np.array([0.5, 2.0, 8.0], np.float32), (count, 1))
    location, scale = np.full(count, 3, np.float32), np.full(count, 2, np.float32)
    if likelihood in ("beta", "negative-binomial"):
        location[:] = 0
    mean = {
        "beta": 1 / (1 + math.exp(-0.5)),
        "negative-binomial": 2 * math.log1p(math.exp(0.5)),
    }.get(likelihood, 4.0)
    widths = []
    for spread in (1.0, 2.0):
        random = np.random.default_rng(0)
        values = drawn(likelihood, raw, location, scale, spread, random).astype(np.float64)
        assert values.mean() == pytest.approx(mean, abs=0.15)
        widths.append(values.std())
    if likelihood == "deterministic-L1":
        assert widths == [0, 0]
    else:
        assert 1.2 < widths[1] / widths[0] < 2.1


def test_figures_are_those_of_the_guide() -> None:
    truth = np.array([[10.0, np.nan], [20.0, 30.0]], np.float32)
    samples = np.array([[[8], [12]], [[20], [30]]], np.float32).repeat(2, axis=2)
    found = accuracy(truth, samples, [0.5, 0.9])

    assert found.rmse == pytest.approx(math.sqrt((0 + 5**2 + 5**2) / 3))
    half = 2 * (0 + 0.5 * 5 + 0.5 * 5) / 60
    high = 2 * (0.1 * 1.6 + 0.1 * 9 + 0.9 * 1) / 60
    assert found.weighted_quantile_losses == pytest.approx({0.5: half, 0.9: high})
    assert found.mean_weighted_quantile_loss == pytest.approx((half + high) / 2)
    assert found.mean_absolute_quantile_loss == pytest.approx(30 * (half + high))


def test_coverage_is_the_share_within_the_band() -> None:
    samples = np.linspace(0, 10, 101, dtype=np.float32)[None, :, None].repeat(4, axis=2)
    truth = np.array([[0.5, 5, 9.5, np.nan]], np.float32)

    assert coverage(truth, samples) == pytest.approx(1 / 3)


def test_only_long_series_are_held_back_and_only_where_there_are_many() -> None:
    long = [Series(0, np.zeros(50, np.float32))] * 40
    short = [Series(0, np.zeros(20, np.float32))] * 40
    random = np.random.default_rng(0)

    held = held_back([*short, *long], 10, 5, random)
    assert len(held) == 8
    assert held.min() >= 40
    assert not len(held_back([*short, *long[:7]], 10, 5, random))


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ({"cardinality": "auto"}, None),
        ({"cardinality": ""}, ()),
        ({"cardinality": '""'}, ()),
        ({"cardinality": "ignore"}, ()),
        ({"cardinality": "[2, 3]"}, (2, 3)),
        ({"cardinality": "5"}, (5,)),
    ],
)
def test_cardinality_has_several_forms(
    given: dict[str, str], means: tuple[int, ...] | None
) -> None:
    assert settings_of(TABLE.validate(REQUIRED | given)).cardinality == means


@pytest.mark.parametrize("likelihood", ["student-t", "STUDENT-T", "student-T"])
def test_likelihoods_are_known_in_any_case(likelihood: str) -> None:
    settings = settings_of(TABLE.validate(REQUIRED | {"likelihood": likelihood}))
    assert settings.likelihood == "student-T"


def test_the_readme_has_the_tables_of_the_declarations(family: Path) -> None:
    readme = (family / "README.md").read_text()

    assert TABLE.markdown() in readme
    assert FAMILY.channels.markdown() in readme


def test_the_image_has_a_pyarrow_that_runs_on_its_numpy(family: Path) -> None:
    """Of newer ones every job with Parquet fails: they need numpy 2."""
    lock = (family / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([\w-]+)==(\d+)", lock, re.MULTILINE))
    assert (pins["numpy"], int(pins["pyarrow"]) < 22) == ("1", True)

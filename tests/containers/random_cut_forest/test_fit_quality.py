"""How good the scores are: anomalies on real and made data, fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import DenseRows, FilledRows, Group
from sagelocal_first_party.rows import as_sparse
from sagelocal_random_cut_forest.figures import figures
from sagelocal_random_cut_forest.forest import Forest
from sagelocal_random_cut_forest.hyperparameters import TABLE, Settings, settings_of
from sagelocal_random_cut_forest.sampling import Sample, drawn
from sagelocal_random_cut_forest.training import built
from sagelocal_train.config import Resources
from sagelocal_train.errors import UserError
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

Array = NDArray[Any]
ALONE = Group(Resources())


def settings(width: int, **given: object) -> Settings:
    texts = {name: str(value) for name, value in given.items()}
    return settings_of(TABLE.validate({"feature_dim": str(width), **texts}))


def rows_of(features: Array) -> DenseRows:
    return DenseRows(features.astype(np.float32))


def sampled(features: Array, **given: object) -> Sample:
    sample = drawn(rows_of(features), settings(features.shape[1], **given), ALONE)
    assert sample is not None
    return sample


def fitted(features: Array, **given: object) -> Forest:
    return built(sampled(features, **given), settings(features.shape[1], **given).num_trees)


def scores(features: Array, **given: object) -> Array:
    return fitted(features, **given).scores(features.astype(np.float32))


def taxi_rides() -> tuple[Array, Array]:
    """Half-hourly counts of twelve weeks, in windows of a day as the developer guide's example has
    them, and how much of each window belongs to a day on which hardly anyone rides."""
    rng = np.random.default_rng(0)
    hours = np.arange(12 * 7 * 48) / 2
    rides = 15_000 - 8_000 * np.cos(2 * np.pi * (hours - 4) / 24)
    rides *= 1 + 0.2 * np.sin(2 * np.pi * hours / 168)
    rides += rng.normal(0, 600, len(rides))
    idle = np.zeros(len(rides), bool)
    for day in (20, 51, 70):
        part = slice(day * 48 + 14, day * 48 + 44)
        rides[part], idle[part] = 0.15 * rides[part], True
    windows = np.lib.stride_tricks.sliding_window_view(rides, 48)
    return windows, np.lib.stride_tricks.sliding_window_view(idle, 48).mean(axis=1)


def test_days_unlike_others_stand_out_of_a_series() -> None:
    windows, idle = taxi_rides()
    found = scores(windows)
    assert roc_auc_score(idle > 0.3, found) > 0.97
    assert (idle[np.argsort(found)[-20:]] > 0.3).all()


def test_single_points_far_off_are_beyond_three_deviations() -> None:
    # 4032 values of one feature, of which some are spikes: the size of the guide's example.
    rng = np.random.default_rng(1)
    values = rng.normal(60, 20, (4032, 1))
    spikes = rng.choice(4032, 12, replace=False)
    values[spikes] = rng.uniform(400, 700, (12, 1))
    found = scores(values, num_trees=50, num_samples_per_tree=512)
    labels = np.isin(np.arange(4032), spikes).astype(float)
    called = {metric.name: metric.value for metric in figures(found, labels, ["accuracy"])}
    assert called["accuracy"] > 0.97
    assert found[spikes].min() > np.delete(found, spikes).max()
    # What the original answers there is between these, too.
    assert 0.6 < np.median(found) < 1.2
    assert 2.5 < found[spikes].mean() < 6.4


def negatives() -> tuple[Array, Array]:
    features = datasets.load_digits(return_X_y=True)[0].copy()
    anomalous = np.arange(len(features)) % 90 == 0
    features[anomalous] = 16 - features[anomalous]
    return features, anomalous


def between() -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    centers = np.array([[0, 0, 0], [10, 10, 0], [0, 10, 10], [10, 0, 10]])
    rows = centers[rng.integers(0, 4, 8_000)] + rng.normal(0, 0.7, (8_000, 3))
    anomalous = np.arange(8_000) % 200 == 0
    rows[anomalous] = rng.uniform(3, 7, (40, 3))
    return rows, anomalous


DATA: dict[str, Callable[[], tuple[Array, Array]]] = {
    "negatives among digits": negatives,
    "rows between clusters": between,
}


@pytest.mark.parametrize("name", DATA)
def test_anomalies_are_told_as_well_as_by_scikit_learns_isolation_forest(name: str) -> None:
    features, anomalous = DATA[name]()
    found = roc_auc_score(anomalous, scores(features))
    rival = IsolationForest(random_state=0).fit(features)
    theirs = roc_auc_score(anomalous, -rival.score_samples(features))
    assert found > 0.99
    assert found > theirs - 0.005


def test_figures_are_scikit_learns_of_rows_beyond_three_deviations() -> None:
    rng = np.random.default_rng(3)
    numbers = rng.normal(1, 0.1, 500).astype(np.float32)
    numbers[:12] += 1
    labels = (np.arange(500) % 50 == 0).astype(float)
    labels[:8] = 1
    called = numbers > numbers.mean() + 3 * numbers.std()
    found = {
        metric.name: metric.value
        for metric in figures(numbers, labels, ["accuracy", "precision_recall_fscore"])
    }
    assert found.pop("accuracy") == pytest.approx((called == labels).mean())
    expected = precision_recall_fscore_support(labels, called)[:3]
    names = ("precision", "recall", "f1")
    for name, (negative, positive) in zip(names, expected, strict=True):
        assert found.pop(name) == pytest.approx(positive)
        assert found.pop(f"negative_{name}") == pytest.approx(negative)
    assert not found


def test_only_figures_that_are_asked_for_are_given() -> None:
    numbers, labels = np.ones(3), np.zeros(3)
    assert [metric.name for metric in figures(numbers, labels, ["accuracy"])] == ["accuracy"]
    found = {m.name: m.value for m in figures(numbers, labels, ["precision_recall_fscore"])}
    assert (found["f1"], found["negative_f1"]) == (0, 1)


def test_every_row_is_as_likely_in_the_sample_and_in_none_twice() -> None:
    features = np.arange(50_000.0)[:, None]
    sample = sampled(features, num_trees=50, num_samples_per_tree=200)
    assert (len(sample.points), sample.size, sample.seen) == (10_000, 200, 10_000)
    values = sample.points[:, 0]
    assert len(np.unique(values)) == 10_000
    tenths = np.bincount((values // 5000).astype(int))
    np.testing.assert_allclose(tenths, 1000, rtol=0.1)
    # Each tree's part is one of all rows.
    np.testing.assert_allclose(values.reshape(50, 200).mean(axis=1), 25_000, rtol=0.2)


def test_of_few_rows_trees_have_equal_parts() -> None:
    # The sizes of a real job's log.
    sample = sampled(np.arange(4032.0)[:, None], num_trees=50, num_samples_per_tree=512)
    assert (len(sample.points), sample.size, sample.seen) == (4000, 80, 4032)
    assert len(np.unique(sample.points)) == 4000


def test_hosts_sample_as_one_however_rows_are_divided(on_hosts: OnHosts) -> None:
    features = np.arange(40_000.0)[:, None]
    parts = np.split(features, [1_000, 12_000])
    chosen = settings(1, num_trees=100, num_samples_per_tree=50)
    first, *others = on_hosts(3, lambda group: drawn(rows_of(parts[group.rank]), chosen, group))
    assert others == [None, None]
    values = first.points[:, 0]
    assert len(np.unique(values)) == 5_000
    shares = np.histogram(values, [0, 1_000, 12_000, 40_000])[0]
    np.testing.assert_allclose(shares, [125, 1375, 3500], rtol=0.2)


def test_fewer_rows_than_trees_are_said() -> None:
    with pytest.raises(UserError, match=r"has 49 rows and 'num_trees' is 50: .* lower 'num_trees'"):
        sampled(np.zeros((49, 1)), num_trees=50)


def test_sparse_rows_have_the_trees_of_dense_ones() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 12)) * (rng.random((600, 12)) < 0.2)
    chosen = settings(12, num_trees=50)
    dense = drawn(rows_of(features), chosen, ALONE)
    sparse = drawn(FilledRows(as_sparse(rows_of(features))), chosen, ALONE)
    assert dense is not None
    assert sparse is not None
    np.testing.assert_array_equal(dense.points, sparse.points)

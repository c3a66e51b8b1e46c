"""How good the clusters are: against scikit-learn's best of several, fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import Dataset, DenseRows, FilledRows, Group
from sagelocal_first_party.rows import as_sparse
from sagelocal_kmeans.fit import fit, sum_of_squares
from sagelocal_kmeans.hyperparameters import TABLE, Settings, settings_of
from sagelocal_kmeans.model import Clusters
from sagelocal_train.config import Resources
from sagelocal_train.errors import UserError
from sklearn import cluster, datasets

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

Array = NDArray[Any]
ALONE = Group(Resources())


def settings(features: Array, **given: object) -> Settings:
    texts = {name: str(value) for name, value in given.items()}
    return settings_of(TABLE.validate({"feature_dim": str(features.shape[1]), **texts}))


def dataset(features: Array) -> Dataset:
    return Dataset(DenseRows(features.astype(np.float32)), np.zeros(0))


def fitted(features: Array, **given: object) -> Clusters:
    return fit(dataset(features), settings(features, **given), ALONE)


def msd(model: Clusters, features: Array) -> float:
    """The mean square distance by its definition, in float64."""
    squares = np.square(features[:, None, :] - model.centers[None].astype(np.float64)).sum(axis=2)
    return float(squares.min(axis=1).mean())


@cache
def digits() -> Array:
    features: Array = datasets.load_digits(return_X_y=True)[0]
    return features


@cache
def blobs() -> Array:
    """20,000 rows of 20 clusters that overlap, far from the origin."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(-10, 10, (20, 10))
    rows: Array = centers[rng.integers(0, 20, 20_000)] + rng.normal(0, 3, (20_000, 10)) + 1000
    return rows


@cache
def best(rows: Callable[[], Array], k: int) -> float:
    """The mean square distance of scikit-learn's best of ten."""
    found = cluster.KMeans(k, n_init=10, random_state=0).fit(rows())
    return float(found.inertia_) / len(rows())


@pytest.mark.parametrize(("rows", "k"), [(digits, 10), (blobs, 20)])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"init_method": "kmeans++"},
        {"mini_batch_size": 500},
        {"mini_batch_size": 500, "half_life_time_size": 5000, "epochs": 3},
        {"extra_center_factor": 6, "init_method": "kmeans++", "local_lloyd_num_trials": 20},
    ],
    ids=lambda given: " ".join(given) or "defaults",
)
def test_clusters_are_within_5_percent_of_scikit_learns_best(
    rows: Callable[[], Array], k: int, given: dict[str, object]
) -> None:
    assert msd(fitted(rows(), k=k, **given), rows()) < 1.05 * best(rows, k)


def test_clusters_that_lie_apart_are_found() -> None:
    rng = np.random.default_rng(1)
    planted = np.array([[0, 0], [100, 0], [0, 100], [100, 100], [50, 50]]) + 1e4
    rows = planted[np.sort(rng.integers(0, 5, 3000))] + rng.normal(size=(3000, 2))
    centers = fitted(rows, k=5, mini_batch_size=300).centers
    distances = np.linalg.norm(centers[:, None] - planted[None], axis=2)
    assert sorted(distances.argmin(axis=1).tolist()) == [0, 1, 2, 3, 4]
    assert distances.min(axis=1).max() < 0.5


def test_hosts_that_share_sorted_rows_find_as_good_clusters(on_hosts: OnHosts) -> None:
    rows = blobs()[np.argsort(blobs()[:, 0])]
    chosen = settings(rows, k=20)
    parts = np.split(rows, [3000, 9000])
    first, *others = on_hosts(3, lambda group: fit(dataset(parts[group.rank]), chosen, group))
    for other in others:
        np.testing.assert_array_equal(first.centers, other.centers)
    assert msd(first, rows) < 1.05 * best(blobs, 20)


def test_hosts_with_too_few_rows_in_all_say_how_many(on_hosts: OnHosts) -> None:
    rows = np.arange(6.0)[:, None]

    def work(group: Group) -> str:
        with pytest.raises(UserError) as raised:
            fit(dataset(rows), settings(rows, k=13), group)
        return str(raised.value)

    said = on_hosts(2, work)
    assert len(set(said)) == 1
    assert "'k' is 13 and the channel 'train' has 12 rows" in said[0]


def test_as_many_clusters_as_rows_are_the_rows() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    model = fitted(rows, k=6)
    np.testing.assert_allclose(np.sort(model.centers, axis=0), rows, atol=1e-5)
    assert sum_of_squares(dataset(rows), model) == pytest.approx(0, abs=1e-6)


def test_fewer_different_rows_than_clusters_are_no_problem() -> None:
    rows = np.repeat(np.array([[1.0, 2], [5, 6]]), 10, axis=0)
    model = fitted(rows, k=4, init_method="kmeans++")
    assert model.centers.shape == (4, 2)
    assert msd(model, rows) == pytest.approx(0, abs=1e-9)


def test_the_same_job_gives_the_same_clusters() -> None:
    first, second = (fitted(digits(), k=7) for _ in range(2))
    assert first.centers.tobytes() == second.centers.tobytes()


def test_sparse_rows_have_the_clusters_of_dense_ones() -> None:
    rows = DenseRows(digits().astype(np.float32))
    chosen = settings(digits(), k=5)
    sparse = fit(Dataset(FilledRows(as_sparse(rows)), np.zeros(0)), chosen, ALONE)
    np.testing.assert_array_equal(fit(dataset(digits()), chosen, ALONE).centers, sparse.centers)


def test_the_sum_of_squares_is_that_of_its_definition() -> None:
    model = fitted(digits(), k=5)
    expected = msd(model, digits()) * len(digits())
    assert sum_of_squares(dataset(digits()), model) == pytest.approx(expected, rel=1e-5)

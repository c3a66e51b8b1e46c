"""How good the components are: against scikit-learn's, on real and made data, fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import Dataset, DenseRows, FilledRows, Group
from sagelocal_first_party.rows import as_sparse
from sagelocal_pca.hyperparameters import TABLE, Settings, settings_of
from sagelocal_pca.model import Projector
from sagelocal_pca.training import figures, fit
from sagelocal_train.config import Resources
from sklearn import datasets
from sklearn.decomposition import PCA

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

Array = NDArray[Any]
ALONE = Group(Resources())


def settings(features: Array, **given: object) -> Settings:
    texts = {name: str(value) for name, value in given.items()}
    return settings_of(
        TABLE.validate({"feature_dim": str(features.shape[1]), "mini_batch_size": "500", **texts})
    )


def dataset(features: Array) -> Dataset:
    return Dataset(DenseRows(features.astype(np.float32)), np.zeros(0))


def fitted(features: Array, **given: object) -> Projector:
    return fit(dataset(features), settings(features, **given), ALONE)


def synthetic(rows: int, width: int, seed: int = 0) -> Array:
    """Rows far from the origin whose directions have all kinds of variances."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(width, width)))[0]
    features: Array = rng.normal(size=(rows, width)) * np.arange(1, width + 1) ** -1.0 @ mixing
    return features + 30


def digits() -> Array:
    features: Array = datasets.load_digits(return_X_y=True)[0]
    return features


def breast_cancer() -> Array:
    features: Array = datasets.load_breast_cancer(return_X_y=True)[0]
    return features


DATA: dict[str, Callable[[], Array]] = {
    "digits": digits,
    "breast cancer": breast_cancer,
    "100,000 x 50": lambda: synthetic(100_000, 50),
    "2,000 x 700": lambda: synthetic(2_000, 700),
}


@pytest.mark.parametrize("name", DATA)
def test_regular_components_are_scikit_learns_up_to_their_sign(name: str) -> None:
    features = DATA[name]()
    ours = fitted(features, num_components=8)
    theirs = PCA(8, svd_solver="full").fit(features.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.singular_values[::-1], theirs.singular_values_, rtol=2e-4)
    alignment = np.abs(np.sum(ours.components[:, ::-1].T * theirs.components_, axis=1))
    np.testing.assert_allclose(alignment, 1, atol=2e-4)
    projected = np.abs(ours.project(features[:50].astype(np.float32))[:, ::-1])
    scale = np.abs(projected).max()
    expected = np.abs(theirs.transform(features[:50]))
    np.testing.assert_allclose(projected / scale, expected / scale, atol=2e-3)


@pytest.mark.parametrize("name", ["digits", "2,000 x 700"])
def test_randomized_components_hold_99_percent_of_what_can_be_held(name: str) -> None:
    features = DATA[name]()
    best = PCA(10, svd_solver="full").fit(features).explained_variance_.sum()
    ours = fitted(features, num_components=10, algorithm_mode="randomized")
    np.testing.assert_allclose(ours.components.T @ ours.components, np.eye(10), atol=1e-5)
    assert ours.project(features.astype(np.float32)).var(axis=0, ddof=1).sum() > 0.99 * best
    said = np.square(ours.singular_values).sum() / (len(features) - 1)
    assert 0.97 * best < said <= best


def test_more_extra_components_are_more_accurate() -> None:
    features = digits()
    kept = [
        np.square(
            fitted(
                features, num_components=5, algorithm_mode="randomized", extra_components=extra
            ).singular_values
        ).sum()
        for extra in (0, 5, 20, 59)
    ]
    assert kept == sorted(kept)
    exact = PCA(5, svd_solver="full").fit(features).singular_values_
    assert kept[-1] == pytest.approx(np.square(exact).sum(), rel=1e-4)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_without_subtracting_the_mean_components_are_those_of_the_rows_as_they_are(
    mode: str,
) -> None:
    features = synthetic(500, 20)
    ours = fitted(
        features, num_components=20, algorithm_mode=mode, subtract_mean=False, extra_components=0
    )
    _, singular_values, components = np.linalg.svd(features, full_matrices=False)
    assert not ours.mean.any()
    np.testing.assert_allclose(ours.singular_values[::-1], singular_values, rtol=1e-3)
    largest = np.abs(ours.components[:, -1] @ components[0])
    assert largest == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_hosts_that_share_the_rows_find_what_one_finds(mode: str, on_hosts: OnHosts) -> None:
    features = synthetic(3000, 30).astype(np.float32)
    chosen = settings(features, num_components=5, algorithm_mode=mode)
    parts = np.split(features, [700, 800])
    first, *others = on_hosts(3, lambda group: fit(dataset(parts[group.rank]), chosen, group))
    for other in others:
        np.testing.assert_array_equal(first.components, other.components)
    exact = PCA(5, svd_solver="full").fit(features)
    tolerance = 2e-4 if mode == "regular" else 2e-2
    np.testing.assert_allclose(first.singular_values[::-1], exact.singular_values_, rtol=tolerance)
    np.testing.assert_allclose(first.mean, features.mean(axis=0, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_rows_of_a_low_rank_have_components_for_the_rest(mode: str) -> None:
    features = np.outer(np.arange(9.0), [1, 2, 3, 4])
    ours = fitted(features, num_components=3, algorithm_mode=mode)
    np.testing.assert_allclose(ours.components.T @ ours.components, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(ours.singular_values[:2], 0, atol=1e-3)
    direction = np.array([1, 2, 3, 4]) / np.sqrt(30)
    np.testing.assert_allclose(ours.components[:, -1], direction, atol=1e-5)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_sparse_rows_have_the_components_of_dense_ones(mode: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 12)) * (rng.random((300, 12)) < 0.2)
    rows = DenseRows(features.astype(np.float32))
    chosen = settings(features, num_components=3, algorithm_mode=mode)
    dense = fit(Dataset(rows, np.zeros(0)), chosen, ALONE)
    sparse = fit(Dataset(FilledRows(as_sparse(rows)), np.zeros(0)), chosen, ALONE)
    np.testing.assert_array_equal(dense.components, sparse.components)


def test_the_same_job_gives_the_same_components() -> None:
    first, second = (
        fitted(digits(), num_components=5, algorithm_mode="randomized") for _ in range(2)
    )
    assert first.components.tobytes() == second.components.tobytes()


def test_figures_are_those_of_their_definitions() -> None:
    features, other = synthetic(300, 6), synthetic(50, 6, seed=1).astype(np.float32)
    ours = fitted(features, num_components=2)
    theirs = PCA(2).fit(features)
    lost = np.square(other - theirs.inverse_transform(theirs.transform(other))).sum(axis=1).mean()
    total = np.square(other - theirs.mean_).sum(axis=1).mean()
    found = {metric.name: metric.value for metric in figures(ours, dataset(other))}
    assert found["mean_squared_reconstruction_error"] == pytest.approx(lost, rel=1e-4)
    assert found["explained_variance_ratio"] == pytest.approx(1 - lost / total, rel=1e-4)

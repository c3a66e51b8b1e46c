"""How good predictions are: against scikit-learn's neighbours on its own data, fixed seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import Dataset, DenseRows, Group
from sagelocal_knn.figures import figures
from sagelocal_knn.hyperparameters import TABLE, Settings, settings_of
from sagelocal_knn.model import Model
from sagelocal_knn.reduction import Projection
from sagelocal_knn.training import fit
from sagelocal_train.config import Resources
from sagelocal_train.errors import UserError
from sklearn import datasets
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

Array = NDArray[Any]
ALONE = Group(Resources())


def settings(features: Array, **given: object) -> Settings:
    width, rows = features.shape[1], len(features)
    defaults = {"feature_dim": width, "sample_size": rows, "k": 5, "predictor_type": "classifier"}
    texts = {name: str(value) for name, value in {**defaults, **given}.items()}
    return settings_of(TABLE.validate(texts))


def dataset(features: Array, labels: Array) -> Dataset:
    return Dataset(DenseRows(features.astype(np.float32)), labels.astype(np.float64))


def fitted(features: Array, labels: Array, **given: object) -> Model:
    model = fit(dataset(features, labels), settings(features, **given), ALONE)
    assert model is not None
    return model


def digits() -> tuple[Array, Array]:
    features, labels = datasets.load_digits(return_X_y=True)
    return features.astype(np.float32), labels


def predicted(model: Model, features: Array) -> Array:
    return model.predict(model.neighbours(features.astype(np.float32)))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_flat_index_finds_scikit_learns_neighbours(k: int) -> None:
    features, labels = digits()
    model = fitted(features[:1200], labels[:1200], k=k)
    theirs = KNeighborsClassifier(k, algorithm="brute").fit(features[:1200], labels[:1200])
    distances, places = theirs.kneighbors(features[1200:])
    found = model.neighbours(features[1200:])
    np.testing.assert_allclose(found.distances, distances**2, rtol=1e-4, atol=1e-2)
    agree = predicted(model, features[1200:]) == theirs.predict(features[1200:])
    assert agree.mean() > 0.99  # Ties may go either way.
    assert (found.labels == labels[places]).mean() > 0.995


def test_a_regressor_predicts_scikit_learns_means() -> None:
    features, labels = datasets.load_diabetes(return_X_y=True)
    model = fitted(features[:300], labels[:300], predictor_type="regressor", k=7)
    theirs = KNeighborsRegressor(7).fit(features[:300], labels[:300]).predict(features[300:])
    np.testing.assert_allclose(predicted(model, features[300:]), theirs, rtol=1e-5)
    mse = figures(model, dataset(features[300:], labels[300:]), 50)[0]
    assert mse.name == "mse"
    assert mse.value == pytest.approx(np.mean((theirs - labels[300:]) ** 2), rel=1e-5)


def test_figures_of_a_classifier_are_scikit_learns() -> None:
    features, labels = digits()
    model = fitted(features[:500], labels[:500])
    found = {m.name: m.value for m in figures(model, dataset(features[500:], labels[500:]), 99)}
    called = predicted(model, features[500:])
    assert found["accuracy"] == pytest.approx((called == labels[500:]).mean())
    f1 = f1_score(labels[500:], called, average="macro")
    assert found["macro_f_1.000"] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({}, 0.95),
        ({"index_metric": "COSINE"}, 0.95),
        ({"index_type": "faiss.IVFFlat"}, 0.95),
        ({"index_type": "faiss.IVFFlat", "index_metric": "COSINE"}, 0.95),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 16}, 0.92),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 20}, 0.92),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": 32}, 0.9),
        ({"dimension_reduction_type": "fjlt", "dimension_reduction_target": 32}, 0.9),
        ({"sample_size": 600}, 0.9),
    ],
    ids=lambda given: " ".join(map(str, given.values())) if isinstance(given, dict) else "",
)
def test_every_kind_of_index_tells_digits_apart(given: dict[str, object], least: float) -> None:
    features, labels = digits()
    model = fitted(features[:1200], labels[:1200], **given)
    assert (predicted(model, features[1200:]) == labels[1200:]).mean() > least


def test_an_inner_product_prefers_the_longest_row_of_a_direction() -> None:
    features = np.array([[1, 0], [5, 0], [0, 9]], np.float32)
    model = fitted(features, np.array([0, 1, 2]), index_metric="INNER_PRODUCT", k=2)
    found = model.neighbours(np.array([[2, 0]], np.float32))
    assert found.labels[0, 0] == 1
    assert found.distances.tolist() == [[-10, -2]]


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
@pytest.mark.parametrize("width", [64, 100])
def test_a_projection_keeps_distances_about(kind: Any, width: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, width)).astype(np.float32)
    projected = Projection(kind, 3, width, 60)(rows)
    before = np.linalg.norm(rows[:100] - rows[100:], axis=1)
    after = np.linalg.norm(projected[:100] - projected[100:], axis=1)
    assert np.mean(after / before) == pytest.approx(1, abs=0.05)
    assert np.std(after / before) < 0.15
    np.testing.assert_array_equal(projected, Projection(kind, 3, width, 60)(rows))


def test_a_tie_goes_to_the_nearest_neighbour() -> None:
    features = np.array([[0.0], [1], [2], [3]])
    model = fitted(features, np.array([7, 8, 8, 7]), k=4)
    assert predicted(model, np.array([[0.1], [2.9], [1.1]])).tolist() == [7, 7, 8]


def test_hosts_sample_their_share_and_the_first_one_has_all(on_hosts: OnHosts) -> None:
    features, labels = digits()
    chosen = settings(features, sample_size=700)
    parts = np.split(np.arange(1200), [500, 900])

    def work(group: Group) -> Model | None:
        own = parts[group.rank]
        return fit(dataset(features[own], labels[own]), chosen, group)

    first, *others = on_hosts(3, work)
    assert others == [None, None]
    assert len(first.labels) == first.index.ntotal == 700
    assert (predicted(first, features[1200:]) == labels[1200:]).mean() > 0.9


def test_fewer_rows_than_neighbours_are_said() -> None:
    with pytest.raises(UserError, match=r"'k' is 5 and 3 rows were sampled .* lower 'k'"):
        fit(
            dataset(np.eye(3), np.arange(3)),
            settings(np.eye(3), sample_size=10),
            ALONE,
        )

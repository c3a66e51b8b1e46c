"""The parts of training by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_kmeans.distances import assign, squares_to, sums
from sagelocal_kmeans.hyperparameters import TABLE, settings_of
from sagelocal_kmeans.lloyd import refine
from sagelocal_kmeans.seeding import choose
from sagelocal_kmeans.streaming import Stream
from sagelocal_train.errors import UserError

Array = NDArray[Any]

small = st.integers(-8, 8).map(float)
matrices = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        hnp.arrays(np.float32, st.tuples(st.integers(1, 200), st.just(width)), elements=small),
        hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(width)), elements=small),
    )
)


@given(matrices)
def test_every_row_goes_to_a_closest_centre(matrix: tuple[Array, Array]) -> None:
    rows, centers = matrix
    squares = np.square(rows[:, None] - centers[None]).sum(axis=2)
    found = assign(rows, centers)
    np.testing.assert_array_equal(found.squares, squares.min(axis=1))
    np.testing.assert_array_equal(found.labels, squares.argmin(axis=1))
    np.testing.assert_array_equal(squares_to(rows, centers), squares)


@given(matrices)
def test_sums_are_those_of_each_centres_rows(matrix: tuple[Array, Array]) -> None:
    rows, centers = matrix
    labels = assign(rows, centers).labels
    weights = np.arange(1.0, len(rows) + 1)
    for given_weights, used in ((None, np.ones(len(rows))), (weights, weights)):
        found = sums(rows, labels, len(centers), given_weights)
        for label in range(len(centers)):
            of_it = labels == label
            assert found.weights[label] == used[of_it].sum()
            np.testing.assert_array_equal(found.totals[label], used[of_it] @ rows[of_it])


def test_a_batch_moves_centres_by_its_share_of_their_weight() -> None:
    stream = Stream.beginning(np.array([[0.0], [10.0]], np.float32))
    stream.weights = np.array([100.0, 150.0])
    stream.take(np.array([[1.0]] * 25 + [[9.0]] * 40, np.float32))
    np.testing.assert_allclose(stream.centers, [[25 / 125], [10 - 40 / 190]], rtol=1e-6)
    assert stream.weights.tolist() == [125, 190]


def test_first_rows_replace_centres_that_nothing_weighs_on() -> None:
    stream = Stream.beginning(np.array([[0.0], [10.0]], np.float32))
    stream.take(np.array([[2.0], [4.0]], np.float32))
    assert stream.centers.tolist() == [[3], [10]]
    assert stream.weights.tolist() == [2, 0]


def test_after_a_half_life_a_row_weighs_half() -> None:
    stream = Stream.beginning(np.array([[0.0]], np.float32), half_life=4)
    stream.take(np.full((4, 1), 3, np.float32))
    stream.take(np.full((4, 1), 0, np.float32))
    assert stream.weights.tolist() == [6]
    assert stream.centers[0, 0] == pytest.approx(3 * 2 / 6)


@pytest.mark.parametrize("method", ["random", "kmeans++"])
def test_first_centres_are_different_points_of_some_weight(method: Any) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    weights = np.where(np.arange(50) < 40, 1.0, 0.0)
    chosen = choose(points, weights, 40, method, rng)
    assert len(np.unique(chosen, axis=0)) == 40
    assert np.isin(chosen[:, 0], points[:40, 0]).all()


def test_kmeans_plus_plus_finds_every_far_group() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.eye(8, dtype=np.float32) * 100, 40, axis=0)
    points = groups + rng.normal(size=groups.shape).astype(np.float32)
    chosen = choose(points, np.ones(len(points)), 8, "kmeans++", rng)
    assert sorted(chosen.argmax(axis=1).tolist()) == list(range(8))


def test_lloyd_stops_where_tolerance_or_steps_say() -> None:
    points = np.array([[0.0], [1.0], [9.0], [10.0]], np.float32)
    start = np.array([[0.0], [1.0]], np.float32)
    outcome = refine(points, np.ones(4), start, 300, 0.0)
    assert sorted(outcome.centers[:, 0].tolist()) == [0.5, 9.5]
    assert outcome.mean_square == 0.25
    assert refine(points, np.ones(4), start, 1, 0.0).mean_square > 1
    heavy = refine(points, np.array([3.0, 1, 1, 1]), start, 300, 0.0)
    assert min(heavy.centers[:, 0]) == 0.25


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["msd"]', ("msd",)),
        ('["msd","ssd"]', ("msd", "ssd")),
        ("['ssd', 'msd']", ("ssd", "msd")),
        ("[msd, ssd]", ("msd", "ssd")),
        ("ssd", ("ssd",)),
    ],
)
def test_metrics_are_understood_as_clients_write_them(text: str, names: tuple[str, ...]) -> None:
    chosen = settings_of(TABLE.validate({"k": "2", "feature_dim": "1", "eval_metrics": text}))
    assert chosen.eval_metrics == names


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("eval_metrics", '["mse"]', "must be a JSON list of 'msd', 'ssd' or both"),
        ("k", "0", "'k' must be an integer of at least 1"),
        ("extra_center_factor", "0", "'extra_center_factor' must be 'auto' or an integer"),
        ("local_lloyd_tol", "2", "'local_lloyd_tol' must be a number of at least 0"),
        ("init_method", "best", "'best' is not one of"),
    ],
)
def test_a_wrong_hyperparameter_says_what_is_right(name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TABLE.validate({"k": "2", "feature_dim": "1"} | {name: text})

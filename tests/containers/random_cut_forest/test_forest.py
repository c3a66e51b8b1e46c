"""Trees and scores, against their definitions worked out by hand on small samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_random_cut_forest import compiled
from sagelocal_random_cut_forest.compiled import Kernel
from sagelocal_random_cut_forest.cutting import Cuts, grow
from sagelocal_random_cut_forest.forest import Forest

Array = NDArray[Any]

few = st.integers(-4, 4).map(float) | st.floats(-1e6, 1e6, width=32)


@st.composite
def samples(draw: st.DrawFn) -> tuple[Array, int]:
    """The points of some trees, of which some are equal, and how many trees there are."""
    trees, size, width = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(1, 3))
    return draw(hnp.arrays(np.float32, (trees * size, width), elements=few)), trees


def points_below(cuts: Cuts, node: int) -> list[tuple[float, ...]]:
    """The points of a node, each as often as its leaf says; checks every cut on the way."""
    if node < 0:
        return [tuple(cuts.points[-1 - node].tolist())] * int(cuts.masses[-1 - node])
    before, behind = (points_below(cuts, int(child)) for child in cuts.children[node])
    dimension, place = cuts.dimensions[node], cuts.places[node]
    assert all(point[dimension] <= place for point in before)
    assert all(point[dimension] > place for point in behind)
    return before + behind


@settings(deadline=None)
@given(samples())
def test_every_tree_holds_its_own_points_on_the_right_sides_of_its_cuts(
    sample: tuple[Array, int],
) -> None:
    points, trees = sample
    cuts = grow(points, trees, seed=1)
    for root, own in zip(cuts.roots, np.split(points, trees), strict=True):
        assert sorted(points_below(cuts, int(root))) == sorted(map(tuple, own.tolist()))
    distinct = sum(len(np.unique(own, axis=0)) for own in np.split(points + 0.0, trees))
    assert len(cuts.masses) == distinct == len(cuts.places) + trees


@pytest.fixture(scope="session", params=["in C", "in numpy"])
def kernel(request: pytest.FixtureRequest, library: Path) -> Kernel | None:
    """Both ways in which rows walk down trees."""
    if request.param == "in numpy":
        return None
    loaded = Kernel.load(library)
    assert loaded is not None
    return loaded


def score_by_definition(forest: Forest, tree: int, row: Array) -> float:
    """The expectation that the module's description states, node by node."""
    cuts = forest.cuts
    node, depth, remaining, score = int(cuts.roots[tree]), 0, 1.0, 0.0
    while node >= 0:
        own = np.array(points_below(cuts, node))
        low, high = own.min(axis=0), own.max(axis=0)
        outside = np.maximum(np.maximum(row - high, low - row), 0).sum()
        cut_off = outside / (outside + (high - low).sum())
        score += remaining * cut_off / (depth + 1)
        remaining *= 1 - cut_off
        node = int(cuts.children[node, int(row[cuts.dimensions[node]] > cuts.places[node])])
        depth += 1
    mass = int(cuts.masses[-1 - node])
    at_leaf = 1 / (depth + 1)
    if np.array_equal(cuts.points[-1 - node], row):
        at_leaf = (1 - mass / (2 * forest.size)) / (depth + math.log2(mass + 1))
    return float(score + remaining * at_leaf)


@settings(max_examples=60, deadline=None)
@given(sample=samples(), data=st.data())
def test_scores_are_the_expectation_that_they_are_defined_as(
    kernel: Kernel | None, sample: tuple[Array, int], data: st.DataObject
) -> None:
    points, trees = sample
    forest = Forest.of(grow(points, trees, seed=2), len(points) // trees)
    others = data.draw(hnp.arrays(np.float32, (3, points.shape[1]), elements=few))
    rows = np.concatenate([points[:2], others])
    expected = [
        np.mean([score_by_definition(forest, tree, row) for tree in range(trees)])
        * np.log2(forest.size + 1)
        for row in rows.astype(np.float64)
    ]
    np.testing.assert_allclose(forest.scores(rows, kernel), expected, rtol=1e-4, atol=1e-6)


def mean_inverse_depth(points: Array, row: Array, depth: int = 0) -> float:
    """Of the leaf of a row, over all random cut trees of these points and the row: each gap
    between neighbours is cut in proportion to its length."""
    everything = np.vstack([points, row])
    total = np.ptp(everything, axis=0).sum()
    found = 0.0
    for dimension, values in enumerate(np.sort(everything, axis=0).T):
        for low, high in pairwise(values):
            if high == low:
                continue
            side = (points[:, dimension] > low) == (row[dimension] > low)
            deeper = mean_inverse_depth(points[side], row, depth + 1) if side.any() else None
            share = (high - low) / total
            found += share * (1 / (depth + 1) if deeper is None else deeper)
    return found


@pytest.mark.parametrize(
    "row", [[0.4, 0.5], [3.0, 1.0], [-8.0, 9.0]], ids=["within", "beside", "far away"]
)
def test_adding_a_point_to_a_tree_is_as_growing_it_with_the_point(
    row: list[float], kernel: Kernel | None
) -> None:
    # Guha et al. 2016, lemma 5: both give the same distribution of trees.
    rng = np.random.default_rng(7)
    points = rng.normal(size=(5, 2)).astype(np.float32)
    trees = 20_000
    forest = Forest.of(grow(np.tile(points, (trees, 1)), trees, seed=3), len(points))
    ours = forest.scores(np.array([row], np.float32), kernel)[0] / np.log2(len(points) + 1)
    expected = mean_inverse_depth(points.astype(np.float64), np.array(row))
    assert ours == pytest.approx(expected, rel=0.01)


def test_cuts_go_across_long_sides_and_are_uniform_there() -> None:
    trees = 20_000
    corners = np.array([[0, 10, 5], [3, 16, 5]], np.float32)
    cuts = grow(np.tile(corners, (trees, 1)), trees, seed=4)
    shares = np.bincount(cuts.dimensions, minlength=3) / trees
    np.testing.assert_allclose(shares, [3 / 9, 6 / 9, 0], atol=0.02)
    places = np.sort(cuts.places[cuts.dimensions == 1])
    np.testing.assert_allclose(np.quantile(places, [0.1, 0.5, 0.9]), [10.6, 13, 15.4], atol=0.15)
    assert places[0] >= 10
    assert places[-1] < 16


def test_neighbouring_numbers_are_still_cut_apart() -> None:
    number = np.float32(1e7)
    points = np.array([[number], [np.nextafter(number, np.float32(np.inf))]], np.float32)
    forest = Forest.of(grow(np.tile(points, (50, 1)), 50, seed=0), 2)
    assert len(forest.cuts.places) == 50
    assert (forest.cuts.places == number).all()


def test_the_largest_numbers_have_scores(kernel: Kernel | None) -> None:
    largest = np.finfo(np.float32).max
    points = np.array([[-largest, 0], [largest, 1], [0, 0], [1, 1]], np.float32)
    forest = Forest.of(grow(np.tile(points, (50, 1)), 50, seed=0), 4)
    scores = forest.scores(np.array([[largest, -largest], [0, 0.5], [0, 0]], np.float32), kernel)
    assert np.isfinite(scores).all()
    near = Forest.of(grow(np.tile(points[2:], (50, 1)), 50, seed=0), 2)
    far = near.scores(np.array([[largest, -largest]], np.float32), kernel)
    assert far[0] == pytest.approx(np.log2(3))


def test_trees_of_one_point_know_it_again(kernel: Kernel | None) -> None:
    points = np.zeros((50, 2), np.float32)
    forest = Forest.of(grow(points, 50, seed=0), 1)
    # (1 - 1/2) / log2(2) and 1, times log2(2).
    assert forest.scores(np.array([[0, 0], [0, 1]], np.float32), kernel).tolist() == [0.5, 1]


def test_no_rows_have_no_scores(kernel: Kernel | None) -> None:
    forest = Forest.of(grow(np.eye(3, dtype=np.float32), 1, seed=0), 3)
    assert forest.scores(np.empty((0, 3), np.float32), kernel).shape == (0,)


def test_a_score_does_not_depend_on_the_rows_beside_it(kernel: Kernel | None) -> None:
    rng = np.random.default_rng(0)
    forest = Forest.of(grow(rng.normal(size=(50 * 64, 30)).astype(np.float32), 50, seed=0), 64)
    rows = rng.normal(size=(500, 30)).astype(np.float32)
    alone = [forest.scores(rows[number : number + 1], kernel)[0] for number in (0, 250, 499)]
    np.testing.assert_allclose(forest.scores(rows, kernel)[[0, 250, 499]], alone, rtol=1e-6)


def test_rows_in_any_memory_layout_have_the_same_scores(kernel: Kernel | None) -> None:
    rng = np.random.default_rng(0)
    forest = Forest.of(grow(rng.normal(size=(50 * 64, 5)).astype(np.float32), 50, seed=0), 64)
    rows = rng.normal(size=(300, 5)).astype(np.float32)
    expected = forest.scores(rows, kernel)
    for other in (np.asfortranarray(rows), np.repeat(rows, 2, axis=0)[::2]):
        np.testing.assert_array_equal(forest.scores(other, kernel), expected)


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_without_a_compiler_the_package_is_built_without_the_kernel(
    compiler: str, family: Path, built_package: Callable[..., Path]
) -> None:
    package = built_package(family, CC=compiler)
    assert (package / "compiled.py").is_file()
    assert Kernel.load(package / compiled.LIBRARY) is None


def test_the_same_seed_grows_the_same_trees() -> None:
    points = np.random.default_rng(0).normal(size=(50 * 200, 40)).astype(np.float32)
    first, second = grow(points, 50, seed=5), grow(points, 50, seed=5)
    assert first.children.tobytes() == second.children.tobytes()
    assert first.places.tobytes() == second.places.tobytes()
    assert first.places.tobytes() != grow(points, 50, seed=6).places.tobytes()

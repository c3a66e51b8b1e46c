"""The hand-driven call against Booster.predict: the same numbers, to the last bit."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows
from sagelocal_xgboost.predictor import Predictor

Train = Callable[..., xgboost.Booster]

OBJECTIVES = [
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:pairwise",
    "rank:ndcg",
    "reg:squarederror",
    "reg:logistic",
    "reg:gamma",
    "reg:pseudohubererror",
    "reg:squaredlogerror",
    "reg:absoluteerror",
    "reg:tweedie",
    "survival:aft",
    "survival:cox",
]


def _expected(booster: xgboost.Booster, rows: NDArray[Any], **arguments: Any) -> NDArray[Any]:
    found: NDArray[Any] = booster.predict(
        xgboost.DMatrix(rows), validate_features=False, **arguments
    )
    return found


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_gives_what_the_booster_gives(
    train: Train, features: NDArray[np.float32], objective: str
) -> None:
    booster = train(objective)
    predictor = Predictor(booster)
    expected = _expected(booster, features)

    np.testing.assert_array_equal(predictor.rows(features), expected)
    rows = [predictor.row(array("f", row.tolist())) for row in features]
    np.testing.assert_array_equal(np.squeeze(np.array(rows, np.float32)), expected)


@pytest.mark.parametrize(
    "parameters",
    [
        {"booster": "dart", "rate_drop": 0.5},
        {"booster": "gblinear", "updater": "coord_descent"},
        {"num_parallel_tree": 3, "subsample": 0.6},
        {"base_score": 7.5},
        {"tree_method": "exact"},
    ],
)
@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softprob"])
def test_every_booster_gives_what_it_gives(
    train: Train, features: NDArray[np.float32], objective: str, parameters: dict[str, Any]
) -> None:
    booster = train(objective, **parameters)
    predictor = Predictor(booster)
    expected = _expected(booster, features[:9])
    np.testing.assert_array_equal(predictor.rows(features[:9]), expected)
    np.testing.assert_array_equal(
        np.asarray(predictor.row(array("f", features[0].tolist())), np.float32),
        np.ravel(expected[0]),
    )


def test_the_best_round_of_an_early_stop_is_the_last_that_counts(
    train: Train, features: NDArray[np.float32]
) -> None:
    booster = train("reg:squarederror", 12)
    booster.set_attr(best_iteration="4")
    expected = _expected(booster, features, iteration_range=(0, 5))
    np.testing.assert_array_equal(Predictor(booster).rows(features), expected)


def test_categories_are_decided_as_in_the_booster() -> None:
    codes = np.arange(40, dtype=np.float32).reshape(-1, 1) % 5
    data = xgboost.DMatrix(
        codes, np.isin(codes[:, 0], [1, 4]) * 1.0, feature_types=["c"], enable_categorical=True
    )
    booster = xgboost.train({"max_cat_to_onehot": 1, "nthread": 1}, data, 4)
    found = Predictor(booster).rows(codes)
    np.testing.assert_array_equal(found, booster.predict(data))
    assert len(set(found.tolist())) == 2


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_of_a_matrix_does_not_count(
    train: Train, features: NDArray[np.float32], order: Any
) -> None:
    booster = train("reg:squarederror")
    wide: Any = np.asarray(features, np.float64, order=order)
    np.testing.assert_array_equal(Predictor(booster).rows(wide), _expected(booster, features))


def test_columns_that_a_sparse_row_leaves_out_are_missing_and_not_zero(train: Train) -> None:
    booster = train("reg:squarederror")
    sparse = SparseRows(
        np.array([0, 1, 3]), np.array([1, 0, 4]), np.asarray([0.5, 0, 2], np.float32), 5
    )
    dense = np.full((2, 5), np.nan, np.float32)
    dense[0, 1], dense[1, 0], dense[1, 4] = 0.5, 0, 2
    np.testing.assert_array_equal(Predictor(booster).rows(sparse), _expected(booster, dense))


def test_the_librarys_own_error_comes_through(train: Train) -> None:
    with pytest.raises(xgboost.core.XGBoostError, match="Number of columns"):
        Predictor(train("reg:squarederror")).rows(np.zeros((2, 9), np.float32))


@pytest.fixture(scope="module")
def softprob(train: Train) -> xgboost.Booster:
    return train("multi:softprob")


@pytest.fixture(scope="module")
def predictor(softprob: xgboost.Booster) -> Predictor:
    return Predictor(softprob)


@settings(max_examples=50, deadline=None)
@given(
    rows=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 8), st.just(5)),
        elements=st.floats(-(2.0**99), 2.0**99, width=32) | st.just(np.float32(np.nan)),
    )
)
def test_any_rows_give_what_the_booster_gives(
    softprob: xgboost.Booster, predictor: Predictor, rows: NDArray[np.float32]
) -> None:
    np.testing.assert_array_equal(predictor.rows(rows), _expected(softprob, rows))


def test_threads_do_not_get_one_anothers_answers(
    train: Train, features: NDArray[np.float32]
) -> None:
    booster = train("multi:softprob", 30)
    predictor, expected = Predictor(booster), _expected(booster, features)
    wrong: list[int] = []

    def ask(first: int) -> None:
        for _ in range(50):
            for number in range(first, len(features), 4):
                found = predictor.row(array("f", features[number].tolist()))
                if found != expected[number].tolist():
                    wrong.append(number)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

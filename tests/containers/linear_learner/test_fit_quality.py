"""How good the models are: against least squares, and against scikit-learn's on real data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import Group, Metric
from sagelocal_first_party.rows import Dataset, DenseRows
from sagelocal_linear_learner.hyperparameters import TABLE, settings_of
from sagelocal_linear_learner.model import LinearModel
from sagelocal_linear_learner.settings import Settings
from sagelocal_linear_learner.training import Trained, train
from sklearn import datasets
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

Array = NDArray[Any]


def settings(**given: object) -> Settings:
    return settings_of(TABLE.validate({name: str(value) for name, value in given.items()}))


def dataset(features: Array, labels: Array) -> Dataset:
    return Dataset(DenseRows(features.astype(np.float32)), labels.astype(np.float64))


def figures(trained: Trained, features: Array, labels: Array) -> dict[str, float]:
    return {m.name: m.value for m in trained.evaluate(dataset(features, labels))}


def rmse(predicted: Array, labels: Array) -> float:
    return float(np.sqrt(np.mean((predicted - labels) ** 2)))


@pytest.mark.parametrize("noise", [3, 20, 70, 150])
def test_a_line_through_few_points_is_that_of_least_squares(noise: int) -> None:
    ratios = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        months = rng.integers(7, 95, 14).astype(np.float64)
        salary = np.round(900 + rng.uniform(4, 10) * months + rng.normal(0, noise, 14))
        trained = train(
            dataset(months[:, None], salary),
            None,
            settings(predictor_type="regressor", mini_batch_size=4),
        )
        best = np.polynomial.Polynomial.fit(months, salary, 1)(months)
        ours = figures(trained, months[:, None], salary)["rmse"]
        ratios.append(ours / rmse(best, salary))
    assert max(ratios) < 1.06, sorted(ratios)[-5:]


@pytest.mark.parametrize("batch", [None, 4, 16])
def test_diabetes_is_predicted_as_well_as_by_the_best_linear_model(batch: int | None) -> None:
    features, labels = datasets.load_diabetes(return_X_y=True, scaled=False)
    given = {} if batch is None else {"mini_batch_size": batch}
    ratios = []
    for seed in range(4):
        x, x_test, y, y_test = train_test_split(features, labels, random_state=seed)
        trained = train(dataset(x, y), None, settings(predictor_type="regressor", **given))
        rivals = [LinearRegression(), make_pipeline(StandardScaler(), RidgeCV())]
        best = min(rmse(rival.fit(x, y).predict(x_test), y_test) for rival in rivals)
        ratios.append(figures(trained, x_test, y_test)["rmse"] / best)
    assert np.mean(ratios) < 1.02


def test_breast_cancer_is_classified_as_well_as_by_the_best_linear_model() -> None:
    features, labels = datasets.load_breast_cancer(return_X_y=True)
    models = [LogisticRegression(max_iter=1000), RidgeClassifier(), LinearSVC(random_state=0)]
    differences = []
    for seed in range(4):
        x, x_test, y, y_test = train_test_split(
            features, labels, random_state=seed, stratify=labels
        )
        trained = train(dataset(x, y), None, settings(predictor_type="binary_classifier"))
        rivals = [make_pipeline(StandardScaler(), model).fit(x, y) for model in models]
        best = max(rival.score(x_test, y_test) for rival in rivals)
        ours = figures(trained, x_test, y_test)["binary_classification_accuracy"]
        differences.append(1 - ours / best)
    assert np.mean(differences) < 0.02


def test_digits_are_told_apart() -> None:
    features, labels = datasets.load_digits(return_X_y=True)
    accuracies = []
    for seed in range(3):
        x, x_test, y, y_test = train_test_split(
            features, labels, random_state=seed, stratify=labels
        )
        trained = train(
            dataset(x, y), None, settings(predictor_type="multiclass_classifier", num_classes=10)
        )
        accuracies.append(figures(trained, x_test, y_test)["multiclass_accuracy"])
    assert np.mean(accuracies) >= 0.95, accuracies


def test_a_hundred_thousand_rows_are_fitted_to_the_optimum() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (110_000, 50)) @ rng.normal(0, 1, (50, 50))
    labels = features @ rng.normal(0, 1, 50)
    labels = labels + rng.normal(0, labels.std() / 3, len(labels))
    x, y, x_test, y_test = (
        features[:100_000],
        labels[:100_000],
        features[100_000:],
        labels[100_000:],
    )
    trained = train(dataset(x, y), None, settings(predictor_type="regressor"))
    best = rmse(LinearRegression().fit(x, y).predict(x_test), y_test)
    assert figures(trained, x_test, y_test)["rmse"] < 1.02 * best


KINDS: dict[str, tuple[Callable[..., Any], dict[str, object], str]] = {
    "regressor": (datasets.load_diabetes, {}, "rmse"),
    "binary_classifier": (
        datasets.load_breast_cancer,
        {"positive_example_weight_mult": "balanced"},
        "binary_classification_accuracy",
    ),
    "multiclass_classifier": (
        datasets.load_wine,
        {"num_classes": 3, "balance_multiclass_weights": "true"},
        "multiclass_accuracy",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replicated", [False, True], ids=["sharded", "replicated"])
def test_hosts_that_share_the_rows_find_as_good_a_model_as_one(
    kind: str, replicated: bool, on_hosts: OnHosts
) -> None:
    load, given, name = KINDS[kind]
    features, labels = load(return_X_y=True)
    x, x_test, y, y_test = train_test_split(features, labels, random_state=0)
    chosen = settings(predictor_type=kind, **given)
    third = len(x) // 3
    parts = [slice(None)] * 2 if replicated else [slice(third), slice(third, None)]

    def work(group: Group) -> tuple[LinearModel, list[Metric]]:
        part = dataset(x[parts[group.rank]], y[parts[group.rank]])
        trained = train(part, None, chosen, group=group)
        return trained.model, trained.evaluate(part)

    (first, measured), (second, nothing) = on_hosts(2, work)
    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.bias, second.bias)
    assert first.threshold == second.threshold
    assert nothing == []

    alone = train(dataset(x, y), None, chosen)
    together = replace(alone, model=first)
    on_all = {metric.name: metric.value for metric in measured}
    assert on_all[name] == pytest.approx(figures(together, x, y)[name], rel=1e-5)
    ours = figures(together, x_test, y_test)[name]
    assert ours == pytest.approx(figures(alone, x_test, y_test)[name], rel=0.02)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize(
    "loss",
    [
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ],
)
def test_every_loss_and_optimizer_finds_the_line(loss: str, optimizer: str) -> None:
    rng = np.random.default_rng(3)
    features = rng.normal([100, 5], [20, 1], (2000, 2))
    labels = 4 * features[:, 0] - 30 * features[:, 1] + 7 + rng.normal(0, 5, 2000)
    trained = train(
        dataset(features, labels),
        None,
        settings(predictor_type="regressor", loss=loss, optimizer=optimizer, mini_batch_size=50),
    )
    np.testing.assert_allclose(trained.model.weights[0], [4, -30], rtol=0.05)


@pytest.mark.parametrize("loss", ["logistic", "hinge_loss"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_every_loss_and_optimizer_separates_two_classes(loss: str, optimizer: str) -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(10, 5, (2000, 3))
    labels = features @ [1, -2, 0.5] > -4
    trained = train(
        dataset(features, labels),
        None,
        settings(predictor_type="binary_classifier", loss=loss, optimizer=optimizer),
    )
    assert figures(trained, features, labels)["binary_classification_accuracy"] > 0.97


def test_the_same_job_gives_the_same_model() -> None:
    rng = np.random.default_rng(5)
    features, labels = rng.normal(0, 1, (300, 4)), rng.normal(0, 1, 300)
    first, second = (
        train(dataset(features, labels), None, settings(predictor_type="regressor")).model
        for _ in range(2)
    )
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_the_validation_data_decides_how_much_is_regularised() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (60, 50))
    labels = features[:, 0] * 3 + rng.normal(0, 3, 60)
    other = rng.normal(0, 1, (500, 50))
    validation = dataset(other, other[:, 0] * 3 + rng.normal(0, 3, 500))
    alone = train(dataset(features, labels), None, settings(predictor_type="regressor"))
    helped = train(dataset(features, labels), validation, settings(predictor_type="regressor"))
    alone_mse = {m.name: m.value for m in alone.evaluate(validation)}["mse"]
    helped_mse = {m.name: m.value for m in helped.evaluate(validation)}["mse"]
    assert helped_mse < 0.8 * alone_mse


def test_l1_makes_weights_zero_and_wd_makes_them_small() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1, (1000, 10))
    labels = features[:, 0] + rng.normal(0, 0.1, 1000)
    data = dataset(features, labels)
    sparse = train(data, None, settings(predictor_type="regressor", l1=0.2, wd=0)).model
    assert np.count_nonzero(sparse.weights[0]) == 1
    small = train(data, None, settings(predictor_type="regressor", l1=0, wd=2)).model
    assert small.weights[0, 0] == pytest.approx(0.5, rel=0.1)


def test_without_bias_the_line_goes_through_the_origin() -> None:
    rng = np.random.default_rng(2)
    features = rng.uniform(1, 2, (500, 2))
    trained = train(
        dataset(features, features @ [2, 3]),
        None,
        settings(predictor_type="regressor", use_bias=False),
    )
    assert trained.model.bias.tolist() == [0]
    np.testing.assert_allclose(trained.model.weights[0], [2, 3], rtol=0.02)


def test_balanced_weights_find_the_rare_class() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(0, 1, (4000, 2))
    labels = rng.random(4000) < 1 / (1 + np.exp(-(2 * features[:, 0] - 4)))
    common = {"predictor_type": "binary_classifier"}
    common["binary_classifier_model_selection_criteria"] = "loss_function"
    plain = train(dataset(features, labels), None, settings(**common))
    balanced = train(
        dataset(features, labels),
        None,
        settings(**common, positive_example_weight_mult="balanced"),
    )
    plain_recall = figures(plain, features, labels)["recall"]
    assert figures(balanced, features, labels)["recall"] > plain_recall + 0.3


def test_balanced_class_weights_serve_rare_classes() -> None:
    rng = np.random.default_rng(4)
    labels = rng.choice(3, 3000, p=[0.9, 0.05, 0.05])
    features = rng.normal(0, 1, (3000, 2)) + np.array([[0, 0], [1.5, 0], [0, 1.5]])[labels]
    common = {"predictor_type": "multiclass_classifier", "num_classes": 3}
    plain = train(dataset(features, labels), None, settings(**common))
    balanced = train(
        dataset(features, labels), None, settings(**common, balance_multiclass_weights="true")
    )
    plain_recall = figures(plain, features, labels)["macro_recall"]
    assert figures(balanced, features, labels)["macro_recall"] > plain_recall + 0.2

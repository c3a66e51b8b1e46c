"""The parts of training by themselves: gradients, scales, thresholds, figures, candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_first_party.rows import Dataset, DenseRows, FilledRows
from sagelocal_formats.record_protobuf import SparseRows
from sagelocal_linear_learner import losses
from sagelocal_linear_learner.calibration import best_cut
from sagelocal_linear_learner.candidates import Circumstances, candidates
from sagelocal_linear_learner.hyperparameters import TABLE, settings_of
from sagelocal_linear_learner.losses import Loss
from sagelocal_linear_learner.metrics import evaluate, roc_auc
from sagelocal_linear_learner.model import LinearModel
from sagelocal_linear_learner.scaling import Scale, Scaler, feature_scale, label_scale
from sagelocal_linear_learner.settings import Settings
from sagelocal_linear_learner.targets import ClassWeights, PositiveWeights
from sagelocal_train.errors import UserError
from sklearn import metrics as sk

Array = NDArray[Any]

SCALAR_LOSSES: list[Loss] = [
    losses.Squared(),
    losses.Absolute(),
    losses.EpsilonInsensitiveSquared(0.3),
    losses.EpsilonInsensitiveAbsolute(0.3),
    losses.Quantile(0.9),
    losses.Huber(0.7),
    losses.Logistic(),
    losses.Hinge(1.2),
]


def settings(**given: object) -> Settings:
    return settings_of(TABLE.validate({name: str(value) for name, value in given.items()}))


@pytest.mark.parametrize("loss", SCALAR_LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_gradient_is_the_slope_of_its_loss(loss: Loss) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(0, 2, (200, 3)).astype(np.float32)
    targets = rng.choice([-1.0, 1.0], (200, 1)).astype(np.float32)
    step = 1e-2
    slope = (loss.values(outputs + step, targets) - loss.values(outputs - step, targets)) / (
        2 * step
    )
    kinks = np.isclose(slope, loss.gradient(outputs, targets), atol=0.03)
    assert kinks.mean() > 0.97


def test_softmax_has_the_slope_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(0, 2, (20, 2, 4)).astype(np.float32)
    targets = rng.integers(0, 4, (20, 1)).astype(np.float32)
    loss = losses.Softmax()
    gradient = loss.gradient(outputs, targets)
    for k in range(4):
        step = np.zeros(4, np.float32)
        step[k] = 1e-2
        slope = (loss.values(outputs + step, targets) - loss.values(outputs - step, targets)) / 2e-2
        np.testing.assert_allclose(gradient[..., k], slope, atol=2e-3)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_losses_of_extreme_outputs_are_finite(size: float) -> None:
    targets = np.ones((1, 1), np.float32)
    for loss in (losses.Logistic(), losses.Hinge(1)):
        assert np.isfinite(loss.values(np.full((1, 1), size, np.float32), targets)).all()
        assert np.isfinite(loss.gradient(np.full((1, 1), size, np.float32), targets)).all()
    outputs = np.array([[[size, 0, -size]]], np.float32)
    assert np.isfinite(losses.Softmax().values(outputs, targets)).all()


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 20), st.integers(1, 4)),
        elements=st.floats(-1e3, 1e3, width=32),
    ),
    st.booleans(),
    st.booleans(),
)
def test_folded_weights_predict_what_scaled_ones_do(
    features: Array, normalize: bool, unbias: bool
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(50, 9, len(features))
    scaler = Scaler(
        feature_scale(DenseRows(features), 100, normalize=normalize, unbias=unbias),
        label_scale(labels, 100, normalize=normalize, unbias=unbias),
    )
    weights, bias = rng.normal(0, 1, (1, features.shape[1])), rng.normal(0, 1, 1)
    scaled = (features - scaler.features.mean) / scaler.features.deviation
    expected = (scaled @ weights.T + bias) * scaler.label.deviation + scaler.label.mean
    folded_weights, folded_bias = scaler.fold(weights, bias)
    np.testing.assert_allclose(
        features @ folded_weights.T + folded_bias, expected, rtol=1e-6, atol=1e-4
    )


def test_a_scale_comes_from_the_first_points_and_survives_large_means() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(1e4, 3, (9000, 2)), rng.normal(0, 1, (100, 2))])
    scale = feature_scale(DenseRows(features), 9000, normalize=True, unbias=True)
    np.testing.assert_allclose(scale.mean, features[:9000].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale.deviation, features[:9000].std(axis=0), rtol=1e-3)


def test_a_constant_column_keeps_its_scale() -> None:
    scale = feature_scale(DenseRows(np.full((9, 1), 0.1)), 9, normalize=True, unbias=True)
    assert scale.deviation.tolist() == [1]


@given(st.data())
def test_sparse_rows_are_taken_as_if_they_were_dense(data: st.DataObject) -> None:
    dense = data.draw(hnp.arrays(np.float32, (6, 4), elements=st.sampled_from([0, 0, 0, 1.5, -2])))
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=6))])
    sparse = FilledRows(SparseRows(indptr, columns, dense[rows, columns], 4))
    chosen = np.array(data.draw(st.lists(st.integers(0, 5), max_size=8)), np.intp)
    np.testing.assert_array_equal(dense[chosen], sparse.take(chosen))
    np.testing.assert_array_equal(dense[2:9], sparse.part(2, 9))


CRITERIA = ["accuracy", "f_beta", "f1", "precision_at_target_recall", "recall_at_target_precision"]


def value_of(criterion: str, called: Array, positive: Array, chosen: Settings) -> float:
    """The criterion by its definition; below 0 where a target is missed."""
    hits = float((called & positive).sum())
    precision = hits / called.sum() if called.any() else 0.0
    recall = hits / positive.sum() if positive.any() else 0.0
    if criterion == "accuracy":
        return float((called == positive).mean())
    if criterion in ("f1", "f_beta"):
        beta = 1.0 if criterion == "f1" else chosen.f_beta
        below = beta**2 * precision + recall
        return (1 + beta**2) * precision * recall / below if below else 0.0
    if criterion == "precision_at_target_recall":
        return precision if recall >= chosen.target_recall else recall - 1
    return recall if precision >= chosen.target_precision else precision - 1


@given(
    st.sampled_from(CRITERIA),
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=12),
)
def test_no_threshold_is_better_than_the_chosen_one(
    criterion: str, rows: list[tuple[int, bool]]
) -> None:
    outputs = np.array([output for output, _ in rows], np.float64)
    positive = np.array([truth for _, truth in rows])
    chosen = settings(
        predictor_type="binary_classifier",
        binary_classifier_model_selection_criteria=criterion,
        f_beta=2,
        target_recall=0.7,
        target_precision=0.6,
    )
    cut = best_cut(outputs, positive, chosen)
    reached = value_of(criterion, outputs >= cut.threshold, positive, chosen)
    assert reached == pytest.approx(cut.value)
    best = max(value_of(criterion, outputs >= t, positive, chosen) for t in np.arange(-5, 6))
    assert reached == pytest.approx(best)


def test_a_threshold_stays_at_zero_where_zero_is_as_good_as_any() -> None:
    chosen = settings(predictor_type="binary_classifier")
    cut = best_cut(np.array([-3.0, -2.0, 5.0]), np.array([False, False, True]), chosen)
    assert (cut.threshold, cut.value) == (0.0, 1.0)


def test_binary_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (500, 1)).round(1)
    labels = (features[:, 0] + rng.normal(0, 1, 500) > 0.5).astype(int)
    model = LinearModel(
        "binary_classifier", np.ones((1, 1), np.float32), np.zeros(1, np.float32), "sigmoid", 0.6
    )
    found = figures(model, features, labels, predictor_type="binary_classifier", f_beta=2)
    scores = model.scores(features)
    called = scores >= 0.6
    assert found["binary_classification_accuracy"] == sk.accuracy_score(labels, called)
    assert found["precision"] == pytest.approx(sk.precision_score(labels, called))
    assert found["recall"] == pytest.approx(sk.recall_score(labels, called))
    assert found["binary_f_2.000"] == pytest.approx(sk.fbeta_score(labels, called, beta=2))
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(labels, scores))
    cross_entropy = found["binary_classification_cross_entropy_objective"]
    assert cross_entropy == pytest.approx(sk.log_loss(labels, scores), rel=1e-5)


def test_multiclass_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (500, 4))
    labels = rng.integers(0, 4, 500)
    features[np.arange(500), labels] += 1
    model = LinearModel(
        "multiclass_classifier", np.eye(4, dtype=np.float32), np.zeros(4, np.float32), "softmax"
    )
    found = figures(
        model,
        features,
        labels,
        predictor_type="multiclass_classifier",
        num_classes=4,
        accuracy_top_k=2,
    )
    scores = model.scores(features)
    called = scores.argmax(axis=1)
    top_2 = sk.top_k_accuracy_score(labels, scores, k=2)
    assert found["multiclass_accuracy"] == sk.accuracy_score(labels, called)
    assert found["multiclass_top_k_accuracy_2"] == pytest.approx(top_2)
    assert found["macro_recall"] == pytest.approx(sk.recall_score(labels, called, average="macro"))
    assert found["macro_precision"] == pytest.approx(
        sk.precision_score(labels, called, average="macro")
    )
    assert found["multiclass_log_loss"] == pytest.approx(sk.log_loss(labels, scores), rel=1e-5)
    balanced = sk.balanced_accuracy_score(labels, called)
    assert found["multiclass_balanced_accuracy"] == pytest.approx(balanced)


def test_the_objective_of_a_regressor_is_in_the_labels_own_unit() -> None:
    features, labels = np.array([[1.0], [2.0]]), np.array([110.0, 180.0])
    model = LinearModel(
        "regressor", np.full((1, 1), 100, np.float32), np.zeros(1, np.float32), "identity"
    )
    scaler = Scaler(Scale.identity(1), Scale(np.array([50.0]), np.array([7.0])))
    for loss, expected in ((losses.Squared(), 250.0), (losses.Absolute(), 15.0)):
        chosen = settings(predictor_type="regressor")
        dataset = Dataset(DenseRows(features), labels)
        objective = evaluate(model, dataset, chosen, loss, scaler)[0]
        assert objective.value == pytest.approx(expected, rel=1e-5)


def figures(
    model: LinearModel, features: Array, labels: Array, **given: object
) -> dict[str, float]:
    chosen = settings(**given)
    loss: Loss = losses.Softmax() if chosen.outputs > 1 else losses.Logistic()
    scaler = Scaler(Scale.identity(model.width), Scale.identity(1))
    dataset = Dataset(DenseRows(features), labels.astype(np.float64))
    return {m.name: m.value for m in evaluate(model, dataset, chosen, loss, scaler)}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_under_the_curve_counts_ties_half(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in rows], np.float64)
    positive = np.array([truth for _, truth in rows])
    if positive.all() or not positive.any():
        return
    assert roc_auc(scores, positive) == pytest.approx(sk.roc_auc_score(positive, scores))


AROUND = Circumstances(
    rows=1000,
    updates=480,
    parameters_per_model=10,
    mean_square_length=10.0,
    weight_size=1.0,
    balance=9.0,
)


def test_candidates_differ_in_what_is_left_to_the_algorithm() -> None:
    free = candidates(settings(predictor_type="regressor"), AROUND)
    assert len(free) == len(set(free)) == 32
    assert len({candidate.learning_rate for candidate in free}) == 8
    fixed = candidates(
        settings(predictor_type="regressor", learning_rate=0.03, wd=0.01, num_models=5), AROUND
    )
    assert len(fixed) == 5
    assert {(candidate.learning_rate, candidate.wd) for candidate in fixed} == {(0.03, 0.01)}
    assert len({candidate.l1 for candidate in fixed}) > 1


def test_candidates_try_several_weights_of_positive_examples() -> None:
    chosen = settings(predictor_type="binary_classifier", positive_example_weight_mult="auto")
    assert {c.positive_weight for c in candidates(chosen, AROUND)} == {1.0, 3.0, 9.0}


def test_huge_models_have_fewer_candidates() -> None:
    around = Circumstances(1000, 480, 1 << 25, 10.0, 1.0, 1.0)
    assert len(candidates(settings(predictor_type="regressor"), around)) == 2


def test_the_learning_rate_falls_by_steps_to_its_floor() -> None:
    chosen = settings(
        predictor_type="regressor",
        learning_rate=1,
        lr_scheduler_step=10,
        lr_scheduler_factor=0.1,
        lr_scheduler_minimum_lr=0.005,
    )
    candidate = candidates(chosen, AROUND)[0]
    rates = [candidate.rate(update) for update in (0, 9, 10, 20, 30, 1000)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01, 0.005, 0.005])


def test_weights_of_examples_are_one_on_average() -> None:
    signs = np.array([[1], [-1], [-1], [-1]], np.float32)
    weights = PositiveWeights.of(np.array([3, 1]), [1.0, 3.0])(signs)
    np.testing.assert_allclose(weights.mean(axis=0), [1, 1])
    np.testing.assert_allclose(weights[0] / weights[1], [1, 3])
    classes = np.array([0.0, 0, 0, 2])
    by_class = ClassWeights.of(np.array([3, 0, 1, 0]))(classes[:, None].astype(np.float32))
    np.testing.assert_allclose(by_class[:, 0], [2 / 3, 2 / 3, 2 / 3, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"predictor_type": "binary_classifier", "loss": "softmax_loss"}, "'auto', 'logistic'"),
        ({"predictor_type": "multiclass_classifier", "num_classes": 2}, "from 3 to 1,000,000"),
        ({"predictor_type": "regressor", "momentum": 1}, "'momentum' must be 'auto' or a number"),
        ({"predictor_type": "regressor", "quantile": 0}, "'quantile' must be a number greater"),
        ({"predictor_type": "regressor", "epochs": 1.5}, "'epochs' must be an integer"),
        ({"predictor_type": "regressor", "use_bias": "maybe"}, "'use_bias' must be 'true' or"),
    ],
)
def test_a_wrong_hyperparameter_says_what_is_right(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(**given)


def test_values_as_python_clients_write_them_are_understood() -> None:
    chosen = settings(
        predictor_type="binary_classifier",
        use_bias=True,
        normalize_data="True",
        positive_example_weight_mult="balanced",
        l1="1e-3",
    )
    assert (chosen.use_bias, chosen.normalize_data, chosen.l1) == (True, True, 0.001)
    assert chosen.loss == "logistic"
    assert not chosen.normalize_label

"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "Linear learner hyperparameters".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from sagelocal_train.hyperparameters import (
    AUTO,
    Boolean,
    Categorical,
    Check,
    Float,
    Hyperparameters,
    Integer,
    Tunable,
    Values,
)

from sagelocal_linear_learner.settings import Criterion, OptimizerName, PredictorType, Settings

REGRESSOR = "regressor"
BINARY = "binary_classifier"
MULTICLASS = "multiclass_classifier"

LOSSES_BY_PREDICTOR: Mapping[str, tuple[str, ...]] = {
    REGRESSOR: (
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
}
LEAST_CLASSES = 3

# Linear models have no valleys that momentum would have to cross, and small sets get some dozens of
# updates: with the customary 0.9 an overshoot does not die out in time.
_DEFAULT_BETA_1 = 0.7
_DEFAULT_MOMENTUM = {"sgd": 0.9, "adam": 0.0, "rmsprop": 0.0}
_DEFAULT_BETA_2 = {"sgd": 0.999, "adam": 0.999, "rmsprop": 0.9}


def _classes_where_needed(values: Values) -> str | None:
    if values.text("predictor_type") != MULTICLASS:
        return None
    classes = values["num_classes"]
    if classes is None:
        return (
            "'num_classes' is a required property: set it to the number of classes "
            "(3 to 1,000,000) when 'predictor_type' is 'multiclass_classifier'"
        )
    if values.integer("num_classes") < LEAST_CLASSES:
        return (
            f"{str(classes)!r} is not valid under any of the given schemas: 'num_classes' must be "
            "from 3 to 1,000,000 when 'predictor_type' is 'multiclass_classifier'"
        )
    return None


def _loss_of_the_predictor(values: Values) -> str | None:
    loss, predictor = values.text("loss"), values.text("predictor_type")
    fitting = LOSSES_BY_PREDICTOR[predictor]
    if loss == AUTO or loss in fitting:
        return None
    return (
        f"{loss!r} is not a loss of a {predictor}: 'loss' must be one of "
        f"{', '.join(map(repr, ('auto', *fitting)))} when 'predictor_type' is {predictor!r}"
    )


TABLE = Hyperparameters(
    Categorical(
        "predictor_type",
        [BINARY, MULTICLASS, REGRESSOR],
        required=True,
        help="What the label is: a number, one of two classes, or one of several.",
    ),
    Integer(
        "num_classes",
        minimum=1,
        maximum=1_000_000,
        help="Number of classes, at least 3; required for a multiclass classifier.",
    ),
    Integer(
        "accuracy_top_k",
        minimum=1,
        default=3,
        help="The k of the top-k accuracy of a multiclass classifier.",
    ),
    Boolean(
        "balance_multiclass_weights",
        default=False,
        help="Give every class the same total weight in the loss.",
    ),
    Float(
        "beta_1", minimum=0, below=1, auto=True, default=AUTO, help="Adam's first decay; auto 0.7."
    ),
    Float(
        "beta_2",
        minimum=0,
        below=1,
        auto=True,
        default=AUTO,
        help="Adam's second decay (auto 0.999), RMSProp's decay (auto 0.9).",
    ),
    Float(
        "bias_lr_mult",
        above=0,
        auto=True,
        default=AUTO,
        help="The bias's learning rate as a multiple of the weights'; auto 1.",
    ),
    Float(
        "bias_wd_mult",
        minimum=0,
        auto=True,
        default=AUTO,
        help="The bias's weight decay as a multiple of the weights'; auto 0.",
    ),
    Categorical(
        "binary_classifier_model_selection_criteria",
        [
            "accuracy",
            "f_beta",
            "f1",
            "precision_at_target_recall",
            "recall_at_target_precision",
            "loss_function",
            "cross_entropy_loss",
        ],
        default="accuracy",
        help="What the best of the models and its threshold are chosen by.",
    ),
    Integer(
        "early_stopping_patience",
        minimum=1,
        default=3,
        help="Epochs to wait for an improvement of any model.",
    ),
    Float(
        "early_stopping_tolerance",
        above=0,
        default=0.001,
        help="The relative improvement of the loss that counts as one.",
    ),
    Integer("epochs", minimum=1, default=15, help="The most passes over the training data."),
    Float("f_beta", above=0, default=1.0, help="The beta of the F score: the weight of recall."),
    Integer(
        "feature_dim",
        minimum=1,
        auto=True,
        default=AUTO,
        help="Number of features; auto takes it from the data.",
    ),
    Float("huber_delta", above=0, default=1.0, help="Where the Huber loss becomes linear."),
    Float("init_bias", default=0.0, help="The bias at the beginning."),
    Categorical(
        "init_method",
        ["uniform", "normal"],
        default="uniform",
        help="The distribution of the weights at the beginning.",
    ),
    Float("init_scale", above=0, default=0.07, help="The uniform distribution's half width."),
    Float("init_sigma", above=0, default=0.01, help="The normal distribution's deviation."),
    Float(
        "l1",
        minimum=0,
        auto=True,
        default=AUTO,
        tunable=Tunable(1e-7, 1),
        help="L1 regularisation; auto tries several.",
    ),
    Float(
        "learning_rate",
        above=0,
        auto=True,
        default=AUTO,
        tunable=Tunable(1e-5, 1),
        help="Step size; auto tries several.",
    ),
    Categorical(
        "loss",
        [AUTO, *(loss for losses in LOSSES_BY_PREDICTOR.values() for loss in losses)],
        default=AUTO,
        help="auto is squared_loss, logistic or softmax_loss.",
    ),
    Float(
        "loss_insensitivity",
        above=0,
        default=0.01,
        help="The error that the eps_insensitive losses forgive, in units of the scaled label.",
    ),
    Float(
        "lr_scheduler_factor",
        above=0,
        below=1,
        auto=True,
        default=AUTO,
        help="What the learning rate is multiplied by; auto ends at a twentieth.",
    ),
    Float(
        "lr_scheduler_minimum_lr",
        above=0,
        auto=True,
        default=AUTO,
        help="What the learning rate never falls below; auto 1e-5.",
    ),
    Integer(
        "lr_scheduler_step",
        minimum=1,
        auto=True,
        default=AUTO,
        help="Updates between two changes of the learning rate; auto a fiftieth of all.",
    ),
    Float("margin", minimum=0, default=1.0, help="The margin of the hinge loss."),
    Integer(
        "mini_batch_size",
        minimum=1,
        default=1000,
        tunable=Tunable(100, 5000),
        help="Rows per update; the last batch of an epoch holds the rest. Where it is not given, "
        "or not less than the number of rows, an epoch has at least 32 batches of 4 rows or more.",
    ),
    Float(
        "momentum",
        minimum=0,
        below=1,
        auto=True,
        default=AUTO,
        help="Momentum of sgd (auto 0.9) and rmsprop (auto 0).",
    ),
    Boolean(
        "normalize_data", auto=True, default=True, help="Scale features to deviation 1; auto true."
    ),
    Boolean(
        "normalize_label",
        auto=True,
        default=AUTO,
        help="Scale the label to deviation 1; auto true; only regression does it.",
    ),
    Integer(
        "num_calibration_samples",
        minimum=1,
        auto=True,
        default=AUTO,
        help="Rows that the threshold is chosen on; auto 100,000 at most.",
    ),
    Integer(
        "num_models",
        minimum=1,
        auto=True,
        default=AUTO,
        help="Models trained side by side; auto 32, fewer for very large ones.",
    ),
    Integer(
        "num_point_for_scaler",
        minimum=1,
        default=10_000,
        help="Rows that means and deviations are learned from.",
    ),
    Categorical(
        "optimizer",
        [AUTO, "sgd", "adam", "rmsprop"],
        default=AUTO,
        help="auto is adam.",
    ),
    Float(
        "positive_example_weight_mult",
        above=0,
        auto=True,
        also=("balanced",),
        default=1.0,
        tunable=Tunable(1e-5, 1e5),
        help="Weight of positive examples; balanced gives both classes the same total weight, "
        "auto tries several.",
    ),
    Float("quantile", above=0, below=1, default=0.5, help="The quantile of the quantile loss."),
    Float(
        "target_precision",
        above=0,
        below=1,
        default=0.8,
        help="What recall_at_target_precision holds.",
    ),
    Float(
        "target_recall",
        above=0,
        below=1,
        default=0.8,
        help="What precision_at_target_recall holds.",
    ),
    Boolean(
        "unbias_data",
        auto=True,
        default=AUTO,
        help="Shift features to mean 0; auto true; needs use_bias.",
    ),
    Boolean(
        "unbias_label",
        auto=True,
        default=AUTO,
        help="Shift the label to mean 0; auto true; regression only, needs use_bias.",
    ),
    Boolean("use_bias", default=True, tunable=True, help="Whether the model has a bias."),
    Boolean(
        "use_lr_scheduler", default=True, help="Whether the learning rate falls while training."
    ),
    Float(
        "wd",
        minimum=0,
        auto=True,
        default=AUTO,
        tunable=Tunable(1e-7, 1),
        help="Weight decay (L2 regularisation); auto tries several.",
    ),
    checks=[
        Check(("predictor_type", "num_classes"), _classes_where_needed),
        Check(("predictor_type", "loss"), _loss_of_the_predictor),
    ],
)


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    predictor = values.text("predictor_type")
    optimizer = values.text("optimizer")
    optimizer = "adam" if optimizer == AUTO else optimizer
    loss = values.text("loss")
    regression = predictor == REGRESSOR
    use_bias = values.flag("use_bias")
    resolved: dict[str, Any] = dict(values) | {
        "predictor_type": cast(PredictorType, predictor),
        "num_classes": values["num_classes"] or 1,
        "optimizer": cast(OptimizerName, optimizer),
        "loss": LOSSES_BY_PREDICTOR[predictor][0] if loss == AUTO else loss,
        "binary_classifier_model_selection_criteria": cast(
            Criterion, values.text("binary_classifier_model_selection_criteria")
        ),
        "init_method": cast(Literal["uniform", "normal"], values.text("init_method")),
        "beta_1": _or(values, "beta_1", _DEFAULT_BETA_1),
        "beta_2": _or(values, "beta_2", _DEFAULT_BETA_2[optimizer]),
        "bias_lr_mult": _or(values, "bias_lr_mult", 1.0),
        "bias_wd_mult": _or(values, "bias_wd_mult", 0.0),
        "mini_batch_size_is_given": "mini_batch_size" in values.given,
        "momentum": _or(values, "momentum", _DEFAULT_MOMENTUM[optimizer]),
        "normalize_data": _flag_or(values, "normalize_data", True),
        "normalize_label": regression and _flag_or(values, "normalize_label", True),
        "unbias_data": use_bias and _flag_or(values, "unbias_data", True),
        "unbias_label": regression and use_bias and _flag_or(values, "unbias_label", True),
    }
    for name in (
        "feature_dim",
        "l1",
        "learning_rate",
        "lr_scheduler_factor",
        "lr_scheduler_minimum_lr",
        "lr_scheduler_step",
        "num_calibration_samples",
        "num_models",
        "wd",
    ):
        resolved[name] = None if values[name] == AUTO else values[name]
    return Settings(**resolved)


def _or(values: Values, name: str, default: float) -> float:
    given = values.number_or_auto(name)
    return default if given == AUTO else given


def _flag_or(values: Values, name: str, default: bool) -> bool:
    given = values.flag_or_auto(name)
    return default if given == AUTO else given

"""The hyperparameters of the built-in algorithm: names, ranges, defaults and rules.

Names, ranges and rules are those of sagemaker-xgboost-container (algorithm_mode/
hyperparameter_validation.py), defaults those of the developer guide's page "XGBoost
hyperparameters". What a job does not give is not passed to the library, whose own defaults apply.
"""

from __future__ import annotations

from typing import Any

from sagelocal_train.hyperparameters import Categorical, Check, Float, Integer, Tunable, Values

from sagelocal_xgboost import metrics
from sagelocal_xgboost.declarations import NestedList, Table, Tuple, Words

MULTICLASS = ("multi:softmax", "multi:softprob")
OBJECTIVES = (
    *("binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", *MULTICLASS),
    *("rank:pairwise", "rank:ndcg", "rank:map"),
    *("reg:linear", "reg:squarederror", "reg:logistic", "reg:gamma", "reg:pseudohubererror"),
    *("reg:squaredlogerror", "reg:absoluteerror", "reg:tweedie", "survival:aft", "survival:cox"),
)
DEFAULT_OBJECTIVE = "reg:squarederror"

_GROWING = (
    *("grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker"),
    "grow_quantile_histmaker",
)
_UPDATING = ("refresh", "prune")
_TREE_UPDATERS = (*_GROWING, "grow_skmaker", "sync", *_UPDATING)
_LINEAR_UPDATERS = ("shotgun", "coord_descent")

# Settings of this image among the hyperparameters, which are none of the library's.
OWN = frozenset(
    {
        "num_round",
        "csv_weights",
        "early_stopping_rounds",
        "eval_metric",
        "save_model_on_termination",
        "_kfold",
        "_num_cv_round",
        "_tuning_objective_metric",
    }
)
# What the library has given up; the original's versions took it, and it changes no result.
GIVEN_UP = frozenset(
    {
        "predictor",
        "silent",
        "sketch_eps",
        "dsplit",
        "deterministic_histogram",
        "prob_buffer_row",
        "use_dask_gpu_training",
    }
)


def _updater(values: Values) -> str | None:
    if values["updater"] is None:
        return None
    updaters = values.text("updater").split(",")
    if values["booster"] == "gblinear":
        if len(updaters) == 1 and updaters[0] in _LINEAR_UPDATERS:
            return None
        return f"Linear updater should be one of these options: {_quoted(_LINEAR_UPDATERS)}."
    if values["process_type"] == "update":
        if set(updaters) <= set(_UPDATING):
            return None
        return "process_type 'update' can only be used with updater 'refresh' and 'prune'"
    if not set(updaters) <= set(_TREE_UPDATERS):
        return f"Tree updater should be selected from these options: {_quoted(_TREE_UPDATERS)}."
    if sum(updater in _GROWING for updater in updaters) > 1:
        return (
            "Only one tree grow plugin can be selected. Choose one from the following: "
            f"{_quoted(_GROWING)}"
        )
    return None


def _num_class(values: Values) -> str | None:
    if values["objective"] in MULTICLASS and values["num_class"] is None:
        return "Require input for parameter 'num_class' for multi-classification"
    if "objective" not in values.given and values["num_class"] is not None:
        return (
            "Do not need to setup parameter 'num_class' for learning task other than "
            "multi-classification."
        )
    return None


def _metrics_of_the_objective(values: Values) -> str | None:
    names = values.text("eval_metric").split(",") if values["eval_metric"] else []
    objective = values.text("objective")
    # The original knows no better; XGBoost itself has the AUC of several classes, too.
    if "auc" in names and not objective.startswith(("binary:", "rank:")):
        return "Metric 'auc' can only be applied for classification and ranking problems."
    if "aft-nloglik" in names and objective != "survival:aft":
        return "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective."
    return None


def _monotone(values: Values) -> str | None:
    if values["monotone_constraints"] is None or values["tree_method"] in ("exact", "hist"):
        return None
    return (
        "monotone_constraints can be used only when the tree_method parameter is set to either "
        "'exact' or 'hist'."
    )


def _interaction(values: Values) -> str | None:
    methods = ("exact", "hist", "approx")
    if values["interaction_constraints"] is None or values["tree_method"] in methods:
        return None
    return (
        "interaction_constraints can be used only when the tree_method parameter is set to either "
        "'exact', 'hist' or 'approx'."
    )


def _no_gpu(values: Values) -> str | None:
    """The original fails later and without a next step: its XGBoost finds no device."""
    if values["tree_method"] == "gpu_hist" or values["predictor"] == "gpu_predictor":
        return (
            "tree_method 'gpu_hist' and predictor 'gpu_predictor' need a GPU, which this image "
            "does not use: set tree_method to 'hist' and leave predictor out"
        )
    return None


def _cross_validation(values: Values) -> str | None:
    if values["_num_cv_round"] is not None and values["_kfold"] is None:
        return "_num_cv_round repeats a cross validation: set _kfold to its number of folds, too"
    return None


def _metric_with_threshold(word: str) -> bool | None:
    """`error@0.7`, `ndcg@5`; None for a word without a number."""
    if "@" not in word:
        return None
    name, _, threshold = word.partition("@")
    if name.strip() not in metrics.WITH_THRESHOLD:
        return False
    try:
        float(threshold.strip())
    except ValueError:
        return False
    return True


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(repr(word) for word in words)


TABLE = Table(
    Integer(
        "num_round",
        minimum=1,
        required=True,
        tunable=Tunable(1, 4000),
        help="Rounds of boosting.",
    ),
    Integer(
        "csv_weights",
        minimum=0,
        maximum=1,
        default=0,
        help="1: the second column of CSV training data is the weight of each row.",
    ),
    Integer(
        "early_stopping_rounds",
        minimum=1,
        help="Stop when the last metric has not improved on the validation data for so many "
        "rounds, and keep the best one.",
    ),
    Categorical(
        "booster",
        ["gbtree", "gblinear", "dart"],
        default="gbtree",
        help="Trees, a linear model, or trees with dropout.",
    ),
    Integer("verbosity", minimum=0, maximum=3, default=1, help="What the library says in the log."),
    Integer("silent", minimum=0, maximum=1, help="Of version 0.72; has no effect, see verbosity."),
    Integer("nthread", minimum=1, help="Threads; as many as the machine has processors."),
    Float(
        "eta",
        minimum=0,
        maximum=1,
        default=0.3,
        tunable=Tunable(0.1, 0.5),
        aliases=("learning_rate",),
        help="How much of each new tree counts. Also `learning_rate`.",
    ),
    Float(
        "gamma",
        minimum=0,
        default=0,
        tunable=Tunable(0, 5),
        aliases=("min_split_loss",),
        help="What a split has to gain. Also `min_split_loss`.",
    ),
    Integer("max_depth", minimum=0, default=6, tunable=Tunable(0, 10), help="Depth of a tree."),
    Float(
        "min_child_weight",
        minimum=0,
        default=1,
        tunable=Tunable(0, 120),
        help="Weight (hessian) that a child needs.",
    ),
    Float(
        "max_delta_step",
        minimum=0,
        default=0,
        tunable=Tunable(0, 10),
        help="Largest step of a leaf; 0 for no limit.",
    ),
    Float(
        "subsample",
        above=0,
        maximum=1,
        default=1,
        tunable=Tunable(0.5, 1),
        help="Share of the rows that each tree sees.",
    ),
    Float(
        "colsample_bytree",
        above=0,
        maximum=1,
        default=1,
        tunable=Tunable(0.5, 1),
        help="Share of the columns that each tree sees.",
    ),
    Float(
        "colsample_bylevel",
        above=0,
        maximum=1,
        default=1,
        tunable=Tunable(0.1, 1),
        help="Share of the columns that each level sees.",
    ),
    Float(
        "colsample_bynode",
        above=0,
        maximum=1,
        default=1,
        tunable=Tunable(0.1, 1),
        help="Share of the columns that each split sees.",
    ),
    Float(
        "lambda",
        minimum=0,
        default=1,
        tunable=Tunable(0, 1000),
        aliases=("reg_lambda",),
        help="L2 regularisation of the weights. Also `reg_lambda`.",
    ),
    Float(
        "alpha",
        minimum=0,
        default=0,
        tunable=Tunable(0, 1000),
        aliases=("reg_alpha",),
        help="L1 regularisation of the weights. Also `reg_alpha`.",
    ),
    Categorical(
        "tree_method",
        ["auto", "exact", "approx", "hist", "gpu_hist"],
        default="auto",
        help="How splits are found; `gpu_hist` is refused, as there is no GPU.",
    ),
    Float(
        "sketch_eps",
        above=0,
        below=1,
        default=0.03,
        help="Of the old `approx`; XGBoost has it no more, and it has no effect.",
    ),
    Float("scale_pos_weight", above=0, default=1, help="Weight of the positive rows."),
    Words(
        "updater",
        [*_TREE_UPDATERS, *_LINEAR_UPDATERS],
        help="How trees are built and changed; `tree_method` decides where this is not given.",
    ),
    Categorical("dsplit", ["row", "col"], help="Of old versions; has no effect."),
    Integer(
        "refresh_leaf",
        minimum=0,
        maximum=1,
        default=1,
        help="Whether the updater `refresh` changes leaves, too.",
    ),
    Categorical(
        "process_type",
        ["default", "update"],
        default="default",
        help="`update` changes the trees of a checkpoint and makes no new ones.",
    ),
    Categorical(
        "grow_policy",
        ["depthwise", "lossguide"],
        default="depthwise",
        help="Whether a tree grows level by level, or where the loss is largest.",
    ),
    Integer("max_leaves", minimum=0, default=0, help="Leaves of a tree; 0 for no limit."),
    Integer("max_bin", minimum=0, default=256, help="Bins of a column (`hist`)."),
    Categorical(
        "predictor",
        ["auto", "cpu_predictor", "gpu_predictor"],
        help="Of old versions; has no effect.",
    ),
    Tuple(
        "monotone_constraints",
        [-1, 0, 1],
        help="For each column whether predictions must fall (-1) or rise (1) with it.",
    ),
    NestedList(
        "interaction_constraints", minimum=1, help="Groups of columns that may meet in a tree."
    ),
    Categorical(
        "sample_type",
        ["uniform", "weighted"],
        default="uniform",
        help="How `dart` chooses the trees that it drops.",
    ),
    Categorical(
        "normalize_type",
        ["tree", "forest"],
        default="tree",
        help="How `dart` weighs new trees.",
    ),
    Float(
        "rate_drop", minimum=0, maximum=1, default=0.0, help="Share of the trees that `dart` drops."
    ),
    Integer(
        "one_drop", minimum=0, maximum=1, default=0, help="1: `dart` always drops at least one."
    ),
    Float("skip_drop", minimum=0, maximum=1, default=0.0, help="How often `dart` drops nothing."),
    Float("lambda_bias", minimum=0, maximum=1, default=0, help="L2 regularisation of the bias."),
    Float(
        "tweedie_variance_power",
        above=1,
        below=2,
        default=1.5,
        help="Of `reg:tweedie`: towards 2 a gamma, towards 1 a Poisson distribution.",
    ),
    Categorical(
        "objective",
        OBJECTIVES,
        default=DEFAULT_OBJECTIVE,
        help="What is learnt. `reg:linear` is the old name of `reg:squarederror`.",
    ),
    Integer("num_class", minimum=2, help="Number of classes; required for `multi:`."),
    Float("base_score", minimum=0, default=0.5, help="Every row's prediction before the first."),
    Integer("_kfold", minimum=2, help="Folds of a cross validation, with a model for each."),
    Integer("_num_cv_round", minimum=1, help="How often the cross validation is repeated."),
    Categorical(
        "_tuning_objective_metric",
        metrics.TUNING_OBJECTIVES,
        help="Set by a tuning job: printed too, and what early stopping looks at.",
    ),
    Words(
        "eval_metric",
        metrics.NAMES,
        rule=_metric_with_threshold,
        help="What is printed of each round; also `error@T`, `ndcg@N` and `map@N`. By default "
        "what goes with the objective.",
    ),
    Integer("seed", above=-(2**31), below=2**31 - 1, default=0, help="Of all random choices."),
    Integer("num_parallel_tree", minimum=1, help="Trees of a round: more make a random forest."),
    Categorical(
        "save_model_on_termination",
        ["true", "false"],
        help="Whether a job that is stopped saves what it has and ends well.",
    ),
    Categorical(
        "aft_loss_distribution",
        ["normal", "logistic", "extreme"],
        help="Of `survival:aft`: the distribution of the noise.",
    ),
    Float("aft_loss_distribution_scale", minimum=0, help="Of `survival:aft`: its scale."),
    Categorical(
        "deterministic_histogram",
        ["true", "false"],
        default="true",
        help="Of GPUs; has no effect.",
    ),
    Categorical(
        "sampling_method",
        ["uniform", "gradient_based"],
        help="How rows are sampled; `gradient_based` needs a GPU.",
    ),
    Integer("prob_buffer_row", above=1.0, help="Of old versions; has no effect."),
    Categorical("use_dask_gpu_training", ["true", "false"], help="Of GPUs; has no effect."),
    checks=[
        Check(("updater", "booster", "process_type"), _updater),
        Check(("objective", "num_class"), _num_class),
        Check(("eval_metric", "objective"), _metrics_of_the_objective),
        Check(("monotone_constraints", "tree_method"), _monotone),
        Check(("interaction_constraints", "tree_method"), _interaction),
        Check(("tree_method", "predictor"), _no_gpu),
        Check(("_kfold", "_num_cv_round"), _cross_validation),
    ],
    hidden=(),
)


def library_parameters(values: Values) -> dict[str, Any]:
    """What of a job's hyperparameters goes to `xgboost.train`: those that were given."""
    given = {
        name: value
        for name, value in values.items()
        if name in values.given and name not in OWN and name not in GIVEN_UP
    }
    if given.get("objective") == "reg:linear":
        given["objective"] = DEFAULT_OBJECTIVE
    return given

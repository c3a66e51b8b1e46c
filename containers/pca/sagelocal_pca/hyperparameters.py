"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "PCA Hyperparameters".
"""

from __future__ import annotations

from dataclasses import dataclass

from sagelocal_train.hyperparameters import (
    FIRST_PARTY_HIDDEN,
    Boolean,
    Categorical,
    Check,
    Hyperparameters,
    Integer,
    Values,
)

LEAST_EXTRA_COMPONENTS = 10


def _not_more_components_than_features(values: Values) -> str | None:
    components, features = values.integer("num_components"), values.integer("feature_dim")
    if components <= features:
        return None
    return (
        f"'num_components' is {components} and 'feature_dim' is {features}: there are no more "
        "components than features; lower 'num_components'"
    )


TABLE = Hyperparameters(
    Integer("feature_dim", minimum=1, required=True, help="Number of features."),
    Integer(
        "mini_batch_size",
        minimum=1,
        required=True,
        help="Rows per batch; counted in the log, of no effect on the result.",
    ),
    Integer("num_components", minimum=1, required=True, help="Number of components to keep."),
    Categorical(
        "algorithm_mode",
        ["regular", "randomized"],
        default="regular",
        help="`regular` is exact and needs memory for feature_dim x feature_dim numbers; "
        "`randomized` approximates and needs it for feature_dim x (num_components + "
        "extra_components).",
    ),
    Integer(
        "extra_components",
        minimum=-1,
        default=-1,
        help="How many components more are computed in randomized mode, for accuracy; -1 is the "
        "larger one of 10 and num_components.",
    ),
    Boolean("subtract_mean", default=True, help="Whether rows are centred, here and in answers."),
    checks=[Check(("num_components", "feature_dim"), _not_more_components_than_features)],
    # Accepted by the original as well, without a word in its documentation.
    hidden=FIRST_PARTY_HIDDEN | {"force_dense", "epochs"},
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    feature_dim: int
    mini_batch_size: int
    num_components: int
    randomized: bool
    extra_components: int
    """As many as are used: never -1."""
    subtract_mean: bool


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    components, extra = values.integer("num_components"), values.integer("extra_components")
    return Settings(
        feature_dim=values.integer("feature_dim"),
        mini_batch_size=values.integer("mini_batch_size"),
        num_components=components,
        randomized=values.text("algorithm_mode") == "randomized",
        extra_components=max(LEAST_EXTRA_COMPONENTS, components) if extra == -1 else extra,
        subtract_mean=values.flag("subtract_mean"),
    )

"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "k-NN Hyperparameters".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from sagelocal_train.hyperparameters import (
    AUTO,
    Categorical,
    Check,
    Hyperparameters,
    Integer,
    Tunable,
    Values,
)

Predictor = Literal["classifier", "regressor"]
Reduction = Literal["sign", "fjlt"]
IndexType = Literal["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"]
IndexMetric = Literal["L2", "INNER_PRODUCT", "COSINE"]

PARTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
"""What faiss_index_pq_m may be."""


def _reduction(values: Values) -> str | None:
    kind, target = values["dimension_reduction_type"], values["dimension_reduction_target"]
    if kind is None:
        return None
    if target is None:
        return (
            "'dimension_reduction_target' is a required property when 'dimension_reduction_type' "
            "is set: set it to less than 'feature_dim'"
        )
    width = values.integer("feature_dim")
    if values.integer("dimension_reduction_target") < width:
        return None
    return (
        f"'dimension_reduction_target' is {target} and 'feature_dim' is {width}: it must be less; "
        "lower it, or leave out 'dimension_reduction_type'"
    )


def _parts(values: Values) -> str | None:
    parts = values["faiss_index_pq_m"]
    if values.text("index_type") != "faiss.IVFPQ":
        return None
    if parts is None:
        return (
            "'faiss_index_pq_m' is a required property when 'index_type' is 'faiss.IVFPQ': set it "
            f"to one of {list(PARTS)}"
        )
    number = values.integer("faiss_index_pq_m")
    if number in PARTS:
        return None
    return f"'faiss_index_pq_m' is {number}, which is not one of {list(PARTS)}"


def _metric(values: Values) -> str | None:
    metric = values.text("index_metric")
    if values.text("index_type") != "faiss.IVFPQ" or metric == "L2":
        return None
    return (
        f"'index_metric' is {metric!r}, which 'index_type' 'faiss.IVFPQ' does not support: set it "
        "to 'L2', or choose 'faiss.Flat' or 'faiss.IVFFlat'"
    )


def _neighbours(values: Values) -> str | None:
    k, size = values.integer("k"), values.integer("sample_size")
    if k <= size:
        return None
    return f"'k' is {k} and 'sample_size' is {size}: raise 'sample_size' to {k} at least"


TABLE = Hyperparameters(
    Integer("feature_dim", minimum=1, required=True, help="Number of features."),
    Integer("k", minimum=1, required=True, tunable=Tunable(1, 1024), help="Number of neighbours."),
    Categorical(
        "predictor_type",
        ["classifier", "regressor"],
        required=True,
        help="What is made of the neighbours' labels: the most frequent one, or their mean.",
    ),
    Integer(
        "sample_size",
        minimum=1,
        required=True,
        tunable=Tunable(256, 20_000_000),
        help="Rows that are remembered, over all hosts.",
    ),
    Integer(
        "dimension_reduction_target",
        minimum=1,
        help="Number of features after the reduction; required with dimension_reduction_type.",
    ),
    Categorical(
        "dimension_reduction_type",
        ["sign", "fjlt"],
        help="A random projection by signs, or the fast Johnson-Lindenstrauss transform; none "
        "where it is not given.",
    ),
    Integer(
        "faiss_index_ivf_nlists",
        minimum=1,
        auto=True,
        default=AUTO,
        help="Lists of an IVF index; auto is the square root of sample_size.",
    ),
    Integer(
        "faiss_index_pq_m",
        minimum=1,
        help="Parts of a row that are quantized each by itself, for faiss.IVFPQ: "
        f"{', '.join(map(str, PARTS))}. Rows that cannot be divided evenly get more features.",
    ),
    Categorical(
        "index_metric",
        ["L2", "INNER_PRODUCT", "COSINE"],
        default="L2",
        help="What near means: Euclidean distance, inner product, or the angle; faiss.IVFPQ has "
        "L2 alone.",
    ),
    Categorical(
        "index_type",
        ["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"],
        default="faiss.Flat",
        help="Exact; a part of the rows looked at; the same with compressed rows.",
    ),
    Integer("mini_batch_size", minimum=1, default=5000, help="Rows worked on at a time."),
    checks=[
        Check(
            ("feature_dim", "dimension_reduction_type", "dimension_reduction_target"), _reduction
        ),
        Check(("index_type", "faiss_index_pq_m"), _parts),
        Check(("index_type", "index_metric"), _metric),
        Check(("k", "sample_size"), _neighbours),
    ],
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own.

    `faiss_index_pq_m` is 1 for other indexes than faiss.IVFPQ, `dimension_reduction_target` what
    it is raised to, so that the parts are even.
    """

    feature_dim: int
    k: int
    predictor_type: Predictor
    sample_size: int
    dimension_reduction_type: Reduction | None
    dimension_reduction_target: int
    faiss_index_ivf_nlists: int | None
    faiss_index_pq_m: int
    index_metric: IndexMetric
    index_type: IndexType
    mini_batch_size: int


def multiple(number: int, of: int) -> int:
    """The least multiple of `of` that is not less than `number`."""
    return -(-number // of) * of


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    lists = values.integer_or_auto("faiss_index_ivf_nlists")
    width = values.integer("feature_dim")
    target, given = values["dimension_reduction_target"], values["faiss_index_pq_m"]
    parts = given if isinstance(given, int) and values.text("index_type") == "faiss.IVFPQ" else 1
    return Settings(
        feature_dim=width,
        k=values.integer("k"),
        predictor_type=cast(Predictor, values.text("predictor_type")),
        sample_size=values.integer("sample_size"),
        dimension_reduction_type=cast(Reduction | None, values["dimension_reduction_type"]),
        dimension_reduction_target=min(multiple(target, parts), width)
        if isinstance(target, int)
        else 0,
        faiss_index_ivf_nlists=None if lists == AUTO else lists,
        faiss_index_pq_m=parts,
        index_metric=cast(IndexMetric, values.text("index_metric")),
        index_type=cast(IndexType, values.text("index_type")),
        mini_batch_size=values.integer("mini_batch_size"),
    )

"""What a job is to learn from: hyperparameters, series, and the network that fits them.

Everything that the user can mend ends as a UserError with one message, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sagelocal_first_party import Family, Group, Job
from sagelocal_first_party.hosts import ALONE
from sagelocal_train.channels import ChannelDeclaration, Channels
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_deepar.channel import ChannelSeries, read_channel
from sagelocal_deepar.hyperparameters import TABLE, Settings, settings_of
from sagelocal_deepar.matching import cardinality_of, features_of, fitting_channel
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape
from sagelocal_deepar.together import exchanged

LEAST_OBSERVATIONS = 300
FAMILY = Family(
    "AWS/DeepAR",
    TABLE,
    Channels(
        ChannelDeclaration(
            "train",
            required=True,
            help="The time series to learn from: JSON Lines (`.json`, `.json.gz`) or Parquet "
            "(`.parquet`).",
        ),
        ChannelDeclaration(
            "test",
            help="Series whose last prediction_length values are forecast from those before.",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """A job with its series; `test` is empty where there is no such channel."""

    job: Job
    settings: Settings
    shape: Shape
    train: list[Series]
    test: list[Series]


def read_inputs(environment: Environment | None = None, group: Group = ALONE) -> Inputs:
    """What /opt/ml says and holds, checked and said in the log; raises UserError.

    The hosts of the group come to the same series and shape.
    """
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    channel = _read(job, "train", settings, group)
    shape = _shape(channel, settings)
    _say_members(job, channel, settings, shape)
    train = _trainable(channel, shape)
    _say_statistics(job, "Training", train)
    test = _test_series(job, settings, shape, group) if job.has("test") else []
    if test:
        _say_statistics(job, "Test", test)
    return Inputs(job, settings, shape, train, test)


def _read(job: Job, name: str, settings: Settings, group: Group) -> ChannelSeries:
    channel = job.environment.channels[name]
    return exchanged(read_channel(channel, settings.time_freq), channel.distribution, group)


def _shape(train: ChannelSeries, settings: Settings) -> Shape:
    """What the data says of the network."""
    frequency, context = settings.time_freq, settings.context_length
    longest = max(len(each.target) for each in train.series)
    if longest <= settings.prediction_length:
        raise UserError(
            f"No time series of the channel 'train' has more than {settings.prediction_length} "
            f"values (prediction_length); the longest, {_longest_place(train)}, has {longest}. "
            "Give longer series, or lower prediction_length"
        )
    seasons = frequency.seasons
    features = features_of(train, settings)
    means, deviations = _moments(train.series, features)
    shape = Shape(
        frequency=frequency,
        context_length=context,
        prediction_length=settings.prediction_length,
        likelihood=settings.likelihood,
        lags=frequency.lags(longest - 1),
        scale_length=max(context, seasons[0] if seasons else 1),
        cardinality=cardinality_of(train, settings),
        embedding_dimension=settings.embedding_dimension,
        num_cells=settings.num_cells,
        num_layers=settings.num_layers,
        dynamic_means=means,
        dynamic_deviations=deviations,
    )
    return _with_the_usual(shape, train.series)


def _with_the_usual(shape: Shape, series: Sequence[Series]) -> Shape:
    """The shape with what is usual of the series, as medians over them."""
    if shape.likelihood == "beta":
        return shape
    known = [each.target[~np.isnan(each.target)].astype(np.float64) for each in series]
    known = [values for values in known if values.any()]
    if not known:
        return shape
    sizes = np.array([np.abs(values).mean() for values in known])
    if shape.likelihood == "negative-binomial":
        return replace(shape, usual_scale=1 + float(np.median(sizes)))
    deviations = np.array([np.abs(values - values.mean()).mean() for values in known])
    usual = float(np.median(deviations)) or float(np.median(sizes))
    return replace(
        shape,
        usual_location=float(np.median([values.mean() for values in known])),
        usual_scale=usual,
        usual_ratio=float(np.clip(np.median(deviations / sizes), 0.001, 1)),
    )


def _longest_place(train: ChannelSeries) -> str:
    return train.place(int(np.argmax([len(each.target) for each in train.series])))


def _moments(
    series: Sequence[Series], features: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each dynamic feature; a deviation of 1 where it never varies."""
    if not features:
        return (), ()
    everything = np.concatenate([each.dynamic for each in series], axis=1, dtype=np.float64)
    deviations = everything.std(axis=1)
    deviations[deviations < 1e-9] = 1.0
    return tuple(everything.mean(axis=1).tolist()), tuple(deviations.tolist())


def _trainable(train: ChannelSeries, shape: Shape) -> list[Series]:
    """The series of the channel, fitting the shape and the likelihood."""
    series = fitting_channel(train, shape)
    _check_values(train, shape)
    observations = sum(int((~np.isnan(each.target)).sum()) for each in series)
    if observations < LEAST_OBSERVATIONS:
        raise UserError(
            f"The channel 'train' has {observations} observations in {len(series)} time series; "
            f"DeepAR needs {LEAST_OBSERVATIONS} at least, over all series together"
        )
    return series


def _check_values(channel: ChannelSeries, shape: Shape) -> None:
    """Raise UserError for values that the likelihood gives no chance."""
    likelihood = shape.likelihood
    if likelihood not in ("beta", "negative-binomial"):
        return
    for number, each in enumerate(channel.series):
        target = each.target
        with np.errstate(invalid="ignore"):
            if likelihood == "beta":
                wrong = np.flatnonzero((target < 0) | (target > 1))
                needed = "values from 0 to 1"
            else:
                wrong = np.flatnonzero((target < 0) | (target != np.round(target)))
                wrong = wrong[~np.isnan(target[wrong])]
                needed = "counts: whole numbers from 0"
        if wrong.size:
            raise UserError(
                f'{channel.place(number)}: "target" has {target[wrong[0]]:g} at position '
                f"{wrong[0] + 1}, and the likelihood {likelihood!r} is for {needed}. "
                "Set likelihood to 'student-T' or 'gaussian' for other values"
            )


def _test_series(job: Job, settings: Settings, shape: Shape, group: Group) -> list[Series]:
    channel = _read(job, "test", settings, group)
    series = fitting_channel(channel, shape)
    _check_values(channel, shape)
    for number, each in enumerate(series):
        if len(each.target) <= shape.prediction_length:
            raise UserError(
                f'{channel.place(number)}: "target" has {len(each.target)} values; a series of the '
                f"channel 'test' needs more than {shape.prediction_length} (prediction_length), as "
                "its last ones are forecast from those before"
            )
    return series


def _say_members(job: Job, train: ChannelSeries, settings: Settings, shape: Shape) -> None:
    """Whether categories and features were found; in the original's words."""
    if settings.early_stopping_patience is not None:
        job.log.info("Using early stopping with patience %d", settings.early_stopping_patience)
    first = train.series[0]
    for hyperparameter, member, used, found, value in (
        (
            *("cardinality", "cat", shape.cardinality, first.categories),
            list(shape.cardinality),
        ),
        (
            *("num_dynamic_feat", "dynamic_feat", shape.dynamic_features, len(first.dynamic)),
            shape.dynamic_features,
        ),
    ):
        given = getattr(settings, hyperparameter)
        word = "auto" if given is None else given or "ignore"
        name = f"[{hyperparameter}={list(word) if isinstance(word, tuple) else word}]"
        if used:
            verb = "Inferred value of" if given is None else "Using"
            job.log.info("%s %s %s=%s from dataset.", name, verb, hyperparameter, value)
        else:
            was = "was found" if found else "was NOT found"
            job.log.info(
                "%s `%s` field %s in the file `%s` and will NOT be used for training.",
                *(name, member, was, train.first_file),
            )


def _say_statistics(job: Job, which: str, series: Sequence[Series]) -> None:
    values = np.concatenate([each.target for each in series])
    known = values[~np.isnan(values)].astype(np.float64)
    info = job.log.info
    info("%s set statistics:", which)
    info("Integer time series" if (known == np.round(known)).all() else "Real time series")
    info("number of time series: %d", len(series))
    info("number of observations: %d", known.size)
    info("mean target length: %s", len(values) / len(series))
    if known.size:
        info("min/mean/max target: %s/%s/%s", known.min(), known.mean(), known.max())
        info("mean abs(target): %s", np.abs(known).mean())
    info("contains missing values: %s", "no" if known.size == values.size else "yes")

"""Which `cat` and `dynamic_feat` a model is for, and whether series have them.

Series that do not fit are refused with what they have, what is needed, and what to do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sagelocal_train.errors import UserError

from sagelocal_deepar.channel import ChannelSeries
from sagelocal_deepar.hyperparameters import Settings
from sagelocal_deepar.series import RecordError, Series
from sagelocal_deepar.shape import Shape

_LARGEST_CARDINALITY = 1_000_000


def cardinality_of(channel: ChannelSeries, settings: Settings) -> tuple[int, ...]:
    """How many categories each entry of `cat` has; empty where `cat` is left out.

    Raises UserError that names the row.
    """
    if settings.cardinality == ():
        return ()
    first = channel.series[0].categories
    if settings.cardinality is None:
        count = len(first)
    elif any(each.categories for each in channel.series):
        count = len(settings.cardinality)
    else:
        raise UserError(
            f"'cardinality' is {list(settings.cardinality)}, and no record of the channel "
            f"{channel.name!r} has \"cat\": add it, or set cardinality to 'auto'"
        )
    for number, each in enumerate(channel.series):
        if len(each.categories) != count:
            said = "'cardinality'" if settings.cardinality else f"{channel.place(0)}"
            raise UserError(
                f'{channel.place(number)}: "cat" has {len(each.categories)} entries, {said} has '
                f"{count}: all records need the same, or none any; cardinality 'ignore' leaves "
                '"cat" out'
            )
    if not count:
        return ()
    found = np.array([each.categories for each in channel.series], np.int64).max(axis=0) + 1
    if settings.cardinality is None:
        if found.max() > _LARGEST_CARDINALITY:
            raise UserError(
                f'"cat" goes up to {found.max() - 1} in the channel {channel.name!r}: number the '
                "categories from 0 without gaps"
            )
        return tuple(int(each) for each in found)
    return settings.cardinality


def features_of(channel: ChannelSeries, settings: Settings) -> int:
    """How many series `dynamic_feat` holds; 0 where it is left out. Raises UserError."""
    if settings.num_dynamic_feat == 0:
        return 0
    wanted = settings.num_dynamic_feat
    count = len(channel.series[0].dynamic) if wanted is None else wanted
    for number, each in enumerate(channel.series):
        if len(each.dynamic) != count:
            said = f"{channel.place(0)} has" if wanted is None else "'num_dynamic_feat' is"
            raise UserError(
                f'{channel.place(number)}: "dynamic_feat" has {len(each.dynamic)} series, {said} '
                f"{count}: all records need the same, or none any; num_dynamic_feat 'ignore' "
                'leaves "dynamic_feat" out'
            )
    return count


def fitting(series: Series, shape: Shape, ignored: bool) -> Series:
    """The series with what the model knows; raises RecordError.

    `ignored` says that members which the model does not know are no mistake.
    """
    wanted, given = len(shape.cardinality), len(series.categories)
    if given != wanted and not (ignored and not wanted):
        if not wanted:
            raise RecordError('it has "cat", and the model was trained without it: leave it out')
        raise RecordError(
            f'"cat" has {given} entries, and the model was trained with {wanted}: give each'
        )
    pairs = zip(series.categories, shape.cardinality, strict=False)
    for place, (entry, count) in enumerate(pairs, 1):
        if entry >= count:
            raise RecordError(
                f'"cat" has {entry} at position {place}, and there are {count} '
                f"categories: it must be a whole number from 0 to {count - 1}"
            )
    wanted, given = shape.dynamic_features, len(series.dynamic)
    if given != wanted and not (ignored and not wanted):
        if not wanted:
            raise RecordError(
                'it has "dynamic_feat", and the model was trained without it: leave it out'
            )
        raise RecordError(
            f'"dynamic_feat" has {given} series, and the model was trained with {wanted}: give each'
        )
    if not shape.cardinality and series.categories:
        series = replace(series, categories=())
    if not shape.dynamic_features and len(series.dynamic):
        series = replace(series, dynamic=np.zeros((0, 0), np.float32))
    return series


def fitting_channel(channel: ChannelSeries, shape: Shape) -> list[Series]:
    """All series of a channel, fitting the model; raises UserError that names the row."""
    found = []
    for number, series in enumerate(channel.series):
        try:
            found.append(fitting(series, shape, ignored=True))
        except RecordError as error:
            raise UserError(f"{channel.place(number)}: {error}") from error
    return found

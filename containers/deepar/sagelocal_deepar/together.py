"""Several hosts that train one model: all know every series, and share the windows of each step.

    series      a replicated channel is read by every host; of a sharded one each reads its part,
                and then all are given all
    steps       every host draws the same windows, `mini_batch_size` for each of them, and computes
                every so many-th
    gradients   are added over all hosts, weighted by the values that each has seen, before Adam's
                step: the hosts have the same weights at any time

So the first host can save the model and measure it. A job on one host exchanges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import Group

from sagelocal_deepar.channel import ChannelSeries, Read
from sagelocal_deepar.series import Series

SHARDED = "ShardedByS3Key"

Array = NDArray[Any]


def exchanged(channel: ChannelSeries, distribution: str | None, group: Group) -> ChannelSeries:
    """The series of a channel on all hosts, in the order of hosts."""
    if group.size == 1 or distribution != SHARDED:
        return channel
    parts = group.gather(*_arrays(channel.read))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return replace(channel, read=_reads(*group.broadcast(*columns)))


def _arrays(read: Sequence[Read]) -> list[Array]:
    """Series as arrays: what they begin with and how long their parts are, then all parts."""
    series = [each.series for each in read]
    sizes = [
        (each.start, len(each.target), len(each.categories), len(each.dynamic)) for each in series
    ]
    return [
        np.array(sizes, np.int64).reshape(len(series), 4),
        np.array([each.place for each in read], np.str_),
        np.concatenate([each.target for each in series]),
        np.array([entry for each in series for entry in each.categories], np.int64),
        np.concatenate([each.dynamic.reshape(-1) for each in series]),
    ]


def _reads(
    sizes: Array, places: Array, targets: Array, categories: Array, dynamic: Array
) -> tuple[Read, ...]:
    """The reverse."""
    found, at = [], [0, 0, 0]
    for (start, length, entries, features), place in zip(sizes.tolist(), places, strict=True):
        ends = [at[0] + length, at[1] + entries, at[2] + features * length]
        entries_of = tuple(categories[at[1] : ends[1]].tolist())
        series = Series(start, targets[at[0] : ends[0]], entries_of)
        if features:
            rows = dynamic[at[2] : ends[2]].reshape(features, length)
            series = replace(series, dynamic=rows)
        found.append(Read(series, str(place)))
        at = ends
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Together:
    """The steps of all hosts. All of them make the same calls in the same order."""

    group: Group

    @property
    def rank(self) -> int:
        """The number of this host, from 0."""
        return self.group.rank

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return self.group.size

    def own(self, windows: int) -> tuple[Array, float]:
        """Which of so many windows this host computes, and what they count.

        There is always one, for MXNet has no empty arrays; it counts nothing then.
        """
        mine = np.arange(self.rank, windows, self.size)
        return (mine, 1.0) if len(mine) else (np.zeros(1, np.int64), 0.0)

    def mean(self, parameters: Sequence[Any], count: float, loss: float) -> tuple[float, float]:
        """Replace gradients by their means over all hosts, weighted by the counts.

        `loss` is a sum, too. Returns the count and the loss of all hosts.
        """
        if self.size == 1:
            return count, loss
        gradients = [each.grad() for each in parameters if each.grad_req != "null"]
        own = np.concatenate([gradient.asnumpy().reshape(-1) for gradient in gradients])
        total, (counts, losses) = self.group.sum(
            own * np.float32(count), np.array([count, loss], np.float64)
        )
        total /= np.float32(max(counts, 1.0))
        begin = 0
        for gradient in gradients:
            gradient[:] = total[begin : begin + gradient.size].reshape(gradient.shape)
            begin += gradient.size
        return float(counts), float(losses)

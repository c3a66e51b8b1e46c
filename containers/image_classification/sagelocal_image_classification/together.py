"""Several hosts that train one network: each takes its own images, all make the same steps.

    images      of a replicated channel each host takes one in so many; of a sharded one all it has
    steps       as many on each host as the host with the most images has batches
    gradients   of each step are summed over all hosts before the update: MXNet's `dist_sync`
    epochs      means and variances of batch normalisation become the means over all hosts, and
                accuracies count the images of all

So every host has the same network after each epoch, and the first one saves it. A job on one host
exchanges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import Group
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

SHARDED = "ShardedByS3Key"

Arrays = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """Which images of a channel a host takes: of every `size` of them the one at `rank`."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def of(channel: Channel, group: Group) -> Share:
        """A host's share of a channel; all that it has of a sharded one."""
        if channel.distribution == SHARDED:
            return Share()
        return Share(group.rank, group.size)

    def has(self, number: int) -> bool:
        """Whether the image of this number, from 0, belongs to it."""
        return number % self.size == self.rank


@dataclass(frozen=True, slots=True)
class Together:
    """What the hosts of a job agree on. All of them make the same calls in the same order."""

    group: Group

    @property
    def is_first(self) -> bool:
        """Whether this host saves."""
        return self.group.is_first

    @property
    def rank(self) -> int:
        """The number of this host, from 0."""
        return self.group.rank

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return self.group.size

    def most(self, number: int) -> int:
        """The largest number that a host has."""
        return max(self._everyones(number))

    def total(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """The sums of the numbers over all hosts."""
        (total,) = self.group.sum(numbers)
        return total

    def check_alike(self, epochs: int) -> None:
        """Raise UserError where hosts go on from checkpoints of different epochs."""
        found = self._everyones(epochs)
        if len(set(found)) > 1:
            pairs = zip(self.group.resources.hosts, found, strict=True)
            raise UserError(
                "The hosts of this job have checkpoints of different epochs: "
                f"{', '.join(f'{epoch} on {host}' for host, epoch in pairs)}. Empty the S3Uri of "
                "the job's CheckpointConfig, or give it another"
            )

    def begin_alike(self, module: Any) -> None:
        """Give every host the parameters of the first one."""
        if self.size == 1:
            return
        arguments, auxiliary = module.get_params()
        named = _numpy(arguments, auxiliary)
        module.set_params(*_mxnet(self.group.broadcast(*named), arguments, auxiliary))

    def add_gradients(self, module: Any) -> None:
        """Replace the gradients of the last step by their sums over all hosts."""
        if self.size == 1:
            return
        gradients = [device[0] for device in module._exec_group.grad_arrays]
        own = np.concatenate([gradient.asnumpy().reshape(-1) for gradient in gradients])
        total = self.total(own)
        begin = 0
        for gradient in gradients:
            gradient[:] = total[begin : begin + gradient.size].reshape(gradient.shape)
            begin += gradient.size

    def average_states(self, module: Any) -> None:
        """Give every host the means of what batch normalisation has seen on all."""
        if self.size == 1:
            return
        arguments, auxiliary = module.get_params()
        sums = self.group.sum(*_numpy(auxiliary))
        means = [each / np.float32(self.size) for each in sums]
        module.set_params(arguments, _mxnet(means, auxiliary)[0])

    def _everyones(self, number: int) -> list[int]:
        """The numbers of all hosts, in their order."""
        if self.size == 1:
            return [number]
        gathered = self.group.gather(np.array([number], np.int64))
        (everyones,) = self.group.broadcast(np.array([int(one[0]) for (one,) in gathered]))
        return [int(each) for each in everyones]


def _numpy(*kinds: Arrays) -> list[NDArray[Any]]:
    """The arrays of all kinds, by name."""
    return [kind[name].asnumpy() for kind in kinds for name in sorted(kind)]


def _mxnet(arrays: list[NDArray[Any]], *kinds: Arrays) -> list[dict[str, Any]]:
    """The reverse: arrays with the names that `_numpy` took them by."""
    left = iter(arrays)
    return [{name: _like(kind[name], next(left)) for name in sorted(kind)} for kind in kinds]


def _like(array: Any, values: NDArray[Any]) -> Any:
    copy = array.copy()
    copy[:] = values
    return copy

"""What a reader finds in a model, before anything is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from sagelocal_formats.mxnet_symbol import Symbol

from sagelocal.models.networks import Network

Numbers = NDArray[Any]


@dataclass(frozen=True)
class Unread:
    """An array whose shape is known and whose numbers are not looked at, with the reason."""

    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    reason: str = ""


@dataclass(frozen=True)
class Model:
    """One model. `family` is the image family that trains or serves it, None where none does."""

    family: str | None
    says: str
    """What it is, as "a Linear Learner binary classifier"."""
    because: str
    """The file that says so."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Numbers | Unread] = field(default_factory=dict)
    network: Network | None = None
    symbol: Symbol | None = None
    """MXNet's graph, where there is one."""
    notes: tuple[str, ...] = ()
    """What else the user should know: what was not read, and why."""
    content: Any = None
    """What `exporting` needs beside the arrays."""

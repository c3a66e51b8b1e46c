"""What a family can be tried with, by its `image.toml`. `sagelocal check` takes it.

    [sample]
    request = "sample/row.csv"          # what `serve` should answer, a file of this folder
    request_type = "text/csv"           # its Content-Type, if its name does not tell
    accept = "application/json"         # its Accept, if it has one
    model = "sample/model"              # what is served, if it is not what training leaves
    parts = ["image", "serve"]          # what is checked, of an image that does not train

    [sample.hyperparameters]            # values that are no text become JSON
    predictor_type = "regressor"

    [sample.environment]                # variables of `train` and `serve`

    [sample.channels.train]             # the first channel is one that training needs
    path = "sample/train.csv"           # a file, or a folder
    content_type = "text/csv"
    distribution = "ShardedByS3Key"     # S3DistributionType; FullyReplicated if not given
    required = true                     # of a later channel: training needs it too

Every key may be left out but a channel's path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagelocal.runtime.interface import RuntimeFault

TABLE = "sample"
PARTS = ("image", "train", "serve")
DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
_FILES = ("request", "model")
_TEXTS = (*_FILES, "request_type", "accept")
_TABLES = ("hyperparameters", "environment", "channels")
_CHANNEL_KEYS = ("path", "content_type", "distribution", "required")


@dataclass(frozen=True)
class SampleChannel:
    """Data of one channel: a file or a folder, which exists."""

    path: Path
    content_type: str | None = None
    distribution: str = DISTRIBUTIONS[0]
    required: bool = False


@dataclass(frozen=True)
class Sample:
    """Everything that a family can be tried with; what is not said is None or empty."""

    channels: Mapping[str, SampleChannel] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    request: Path | None = None
    request_type: str | None = None
    accept: str | None = None
    model: Path | None = None
    parts: tuple[str, ...] = ()


def read_sample(path: Path, document: Mapping[str, Any]) -> Sample:
    """The table [sample] of an image.toml at `path`. Raises RuntimeFault, naming file and value."""
    table = _table(path, TABLE, document.get(TABLE, {}))
    _refuse_unknown(path, TABLE, table, (*_TEXTS, "parts", *_TABLES))
    parts = table.get("parts", [])
    if not isinstance(parts, list) or not set(parts) <= set(PARTS):
        known = ", ".join(PARTS)
        raise RuntimeFault(f"{path}: [{TABLE}] parts = {parts!r} is no list of {known}.")
    for key in _TEXTS:
        if key in table and not (isinstance(table[key], str) and table[key]):
            raise RuntimeFault(f"{path}: [{TABLE}] {key} = {table[key]!r} is not a string.")
    tables = {key: _table(path, f"{TABLE}.{key}", table.get(key, {})) for key in _TABLES}
    files = {key: _file(path, key, table[key]) for key in _FILES if key in table}
    return Sample(
        channels={name: _channel(path, name, each) for name, each in tables["channels"].items()},
        hyperparameters=_texts(tables["hyperparameters"]),
        environment=_texts(tables["environment"]),
        request=files.get("request"),
        request_type=table.get("request_type"),
        accept=table.get("accept"),
        model=files.get("model"),
        parts=tuple(parts),
    )


def _channel(path: Path, name: str, table: Any) -> SampleChannel:
    where = f"{TABLE}.channels.{name}"
    table = _table(path, where, table)
    _refuse_unknown(path, where, table, _CHANNEL_KEYS)
    if not isinstance(table.get("path"), str):
        raise RuntimeFault(f"{path}: [{where}] has no path to a file or folder.")
    distribution = table.get("distribution", DISTRIBUTIONS[0])
    if distribution not in DISTRIBUTIONS:
        known = " or ".join(DISTRIBUTIONS)
        raise RuntimeFault(f"{path}: [{where}] distribution = {distribution!r} is not {known}.")
    return SampleChannel(
        _file(path, where, table["path"]),
        table.get("content_type"),
        distribution,
        bool(table.get("required", False)),
    )


def _file(path: Path, what: str, name: str) -> Path:
    found = path.parent.resolve() / name
    if not found.exists():
        raise RuntimeFault(f"{path}: {what} names {name!r}, which is not in {path.parent}.")
    return found


def _table(path: Path, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RuntimeFault(f"{path}: {name} = {value!r} is not a table.")
    return value


def _refuse_unknown(
    path: Path, name: str, table: Mapping[str, Any], known: tuple[str, ...]
) -> None:
    for key in table:
        if key not in known:
            raise RuntimeFault(
                f"{path}: [{name}] has the unknown key {key!r}; known: {', '.join(known)}."
            )


def _texts(table: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in table.items()
    }

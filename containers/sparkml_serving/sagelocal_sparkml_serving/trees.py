"""Decision trees, as MLeap writes them: a node in each line, left before right.

    {"type": "internal", "split": {"type": "continuous", "featureIndex": 2, "threshold": 0.5}}
    {"type": "leaf", "values": [3.0, 1.0]}

A regression's leaf has one value, a classification's one for each class. A split by category names
the `categories` that go left, or with `isLeft` false those that go right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sagelocal_sparkml_serving.bundle import (
    MODEL_FILE,
    Array,
    BundleError,
    Stage,
    read_json,
)

_FILES = ("tree.json", "nodes.json")


@dataclass(frozen=True)
class Leaf:
    """Where a row ends."""

    values: Array

    def leaf(self, row: Array) -> Array:
        """The values of the leaf that a row ends in."""
        return self.values


@dataclass(frozen=True)
class Split:
    """Where a row goes to one of two sides."""

    feature: int
    threshold: float
    categories: frozenset[float] | None
    left: Split | Leaf
    right: Split | Leaf

    def leaf(self, row: Array) -> Array:
        """The values of the leaf that a row ends in."""
        node: Split | Leaf = self
        while isinstance(node, Split):
            value = row[node.feature]
            goes_left = (
                value <= node.threshold if node.categories is None else value in node.categories
            )
            node = node.left if goes_left else node.right
        return node.values


def read(folder: Path) -> Split | Leaf:
    """The tree in a folder; raises BundleError."""
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise BundleError(f"{folder.name} has no tree in JSON ({' or '.join(_FILES)}).")
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    try:
        return _node(lines)
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder.name}/{path.name} is no tree: {error!r}.") from error


def read_all(stage: Stage) -> tuple[list[Split | Leaf], list[float]]:
    """The trees of an ensemble and their weights; raises BundleError."""
    names = stage.texts("trees")
    found = []
    for name in names:
        folder = next(
            (f for f in (stage.folder / name, stage.folder / f"{name}.model") if f.is_dir()), None
        )
        if folder is None:
            raise BundleError(f"{stage} has no folder {name!r} for one of its trees.")
        read_json(folder / MODEL_FILE)
        found.append(read(folder))
    weights = stage.attributes.get("tree_weights") or [1.0] * len(names)
    return found, [float(each) for each in weights]


def _node(lines: Iterator[str]) -> Split | Leaf:
    """The node of the next line, and all below it; a tree of Spark is at most 30 deep."""
    written = json.loads(next(lines))
    if written["type"] == "leaf":
        return Leaf(np.asarray(written["values"], dtype=np.float64))
    split = written["split"]
    categories = None
    if split["type"] == "categorical":
        categories = frozenset(float(each) for each in split["categories"])
    left, right = _node(lines), _node(lines)
    if categories is not None and not _of(split, "isLeft", "is_left", default=False):
        left, right = right, left
    feature = int(_of(split, "featureIndex", "feature_index"))
    return Split(feature, float(split.get("threshold", 0.0)), categories, left, right)


def _of(split: dict[str, Any], *names: str, default: Any = None) -> Any:
    found = next((split[name] for name in names if name in split), default)
    if found is None:
        raise KeyError(names[0])
    return found

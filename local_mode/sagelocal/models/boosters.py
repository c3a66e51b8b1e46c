"""XGBoost's models: UBJ, JSON, the binary format up to 1.7, and pickles, all read without XGBoost.

Whatever a model was saved as, it is a document here: that of XGBoost's JSON schema ("Introduction
to Model IO" in its documentation).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sagelocal_formats import FormatError, xgboost_binary

from sagelocal.models.errors import ModelError
from sagelocal.models.model import Numbers
from sagelocal.models.pickles import Described, Instance
from sagelocal.models.ubjson import UbjsonProblem, loads

# What a training was told, by the parts of a configuration that hold it.
_TOLD = ("tree_train_param", "gbtree_train_param", "dart_train_param", "coordinate_param")


@dataclass(frozen=True)
class Booster:
    """One model. `document` is XGBoost's JSON, in which arrays may be NumPy's."""

    facts: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    arrays: Mapping[str, Numbers]
    document: Mapping[str, Any]


def looks_like(begin: bytes) -> bool:
    """Whether a file that begins so may be such a model, and is no pickle."""
    return begin.startswith(b"{") or xgboost_binary.looks_like(begin)


def read(data: bytes) -> Booster:
    """A model in one of its own formats; raises ModelError."""
    if data[:1] == b"{":
        return _of_document(_document(data))
    if not xgboost_binary.looks_like(data):
        raise ModelError("it is no model of XGBoost: neither UBJ, JSON nor the old binary format")
    try:
        found = _of_document(xgboost_binary.loads(data, "the old binary format"))
    except FormatError as error:
        raise ModelError(f"it is no whole model of XGBoost: {error}") from error
    # The format says no version, but for the document that is made of it.
    return replace(found, facts={**found.facts, "xgboost_version": "1.7 or before"})


def of_pickle(described: Described) -> Booster | None:
    """The Booster in a pickle, by itself or in one of the scikit-learn wrappers."""
    for instance in _instances(described.value):
        if instance.kind == "xgboost.core.Booster":
            handle = instance.attributes.get("handle")
            if isinstance(handle, bytes | bytearray):
                found = read(bytes(handle))
                names = instance.attributes.get("feature_names")
                count = found.facts["features"]
                # Old versions gave names to columns that had none: those say nothing.
                made_up = [f"f{number}" for number in range(count)]
                if isinstance(names, list) and len(names) == count and names != made_up:
                    return found if "feature_names" in found.facts else _named(found, names)
                return found
    return None


def _named(found: Booster, given: list[Any]) -> Booster:
    """With the names that a pickle has beside a model of a format that has none."""
    names = [str(name) for name in given]
    learner = {**found.document["learner"], "feature_names": names}
    return replace(
        found,
        facts={**found.facts, "feature_names": names},
        document={**found.document, "learner": learner},
    )


def _instances(value: Any) -> Iterator[Instance]:
    """The objects in a pickle's first levels."""
    pending, seen = [value], 0
    while pending and seen < 10_000:
        one = pending.pop(0)
        seen += 1
        if isinstance(one, Instance):
            yield one
            pending.extend(one.attributes.values())
        elif isinstance(one, dict):
            pending.extend(one.values())
        elif isinstance(one, list | tuple):
            pending.extend(one)


def _document(data: bytes) -> dict[str, Any]:
    try:
        # In JSON a quote or white space follows, in UBJ the type of a key's length.
        is_json = data[1:].lstrip()[:1] in (b'"', b"}")
        found = json.loads(data) if is_json else loads(data)
    except (UbjsonProblem, ValueError, RecursionError) as error:
        raise ModelError(f"it is no whole model of XGBoost: {error}") from error
    if isinstance(found, dict) and isinstance(found.get("Model"), dict):
        return {**found["Model"], "Config": found.get("Config")}
    if not isinstance(found, dict) or not isinstance(found.get("learner"), dict):
        raise ModelError("it is JSON, and no model of XGBoost: it has no 'learner'")
    return found


def _of_document(document: dict[str, Any]) -> Booster:
    try:
        learner = document["learner"]
        parameters = learner["learner_model_param"]
        booster = learner["gradient_booster"]
        name = booster["name"]
        facts = {
            "objective": learner["objective"]["name"],
            "booster": name,
            "features": int(parameters["num_feature"]),
            "classes": int(parameters.get("num_class", 0)),
            "base_score": parameters.get("base_score"),
            "xgboost_version": ".".join(str(int(n)) for n in document.get("version", ())),
        }
        if learner.get("feature_names"):
            facts["feature_names"] = list(learner["feature_names"])
        if learner.get("attributes"):
            facts["attributes"] = dict(learner["attributes"])
        if name == "gblinear":
            arrays = {"weights": np.asarray(booster["model"]["weights"], np.float32)}
        else:
            forest = booster["gbtree"]["model"] if name == "dart" else booster["model"]
            arrays = _of_trees(forest["trees"])
            facts |= {
                "trees": len(forest["trees"]),
                "nodes": int(arrays["nodes_per_tree"].sum()),
                "deepest_tree": max((_depth(tree) for tree in forest["trees"]), default=0),
            }
            if name == "dart":
                arrays["weight_drop"] = np.asarray(booster["weight_drop"], np.float32)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"it is no whole model of XGBoost: {type(error).__name__} {error}"
        ) from error
    return Booster(facts, _hyperparameters(document.get("Config")), arrays, document)


def _of_trees(trees: list[dict[str, Any]]) -> dict[str, Numbers]:
    """The numbers of all trees, one after the other."""
    left = [np.asarray(tree["left_children"]) for tree in trees]
    values = [np.asarray(tree["split_conditions"], np.float32) for tree in trees]
    features = [np.asarray(tree["split_indices"], np.int64) for tree in trees]
    leaves = [children == -1 for children in left]
    none = np.zeros(0, np.float32)
    return {
        "nodes_per_tree": np.array([len(children) for children in left], np.int64),
        "split_features": _joined(
            [f[~leaf] for f, leaf in zip(features, leaves, strict=True)], none.astype(np.int64)
        ),
        "split_values": _joined([v[~leaf] for v, leaf in zip(values, leaves, strict=True)], none),
        "leaf_values": _joined([v[leaf] for v, leaf in zip(values, leaves, strict=True)], none),
    }


def _joined(parts: list[Numbers], nothing: Numbers) -> Numbers:
    return np.concatenate(parts) if parts else nothing


def _depth(tree: Mapping[str, Any]) -> int:
    """Edges from the root to the farthest leaf; a parent stands before its children."""
    left, right = tree["left_children"], tree["right_children"]
    depths = np.zeros(len(left), np.int64)
    for node in range(len(left)):
        for child in (int(left[node]), int(right[node])):
            if child > node:
                depths[child] = depths[node] + 1
    return int(depths.max(initial=0))


def _hyperparameters(config: Any) -> dict[str, Any]:
    """What the training was told, where the file holds its configuration, as a pickle's does."""
    found: dict[str, Any] = {}
    pending = [config]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            for name in _TOLD:
                if isinstance(one.get(name), dict):
                    found |= one[name]
            pending.extend(value for name, value in one.items() if name not in _TOLD)
        elif isinstance(one, list):
            pending.extend(one)
    return dict(sorted(found.items()))

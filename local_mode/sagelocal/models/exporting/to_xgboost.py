"""XGBoost's own formats: JSON, or UBJ where the name ends so.

The version that trained a model and later ones read both, from 1.6 on (`Booster.load_model`,
`XGBClassifier.load_model`); XGBoost 3.1 and later read neither the old binary format nor pickles of
it. No library is needed: the reader's document is written as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sagelocal.models import ubjson
from sagelocal.models.errors import ModelError
from sagelocal.models.exporting.written import Written, write
from sagelocal.models.model import Model

_UBJ, _JSON = ".ubj", ".json"
# Beside them a pickle has its training's configuration.
_MODEL = ("learner", "version")
# What XGBoost's reader of UBJ wants as arrays of one type (RegTree::LoadModel in tree_model.cc).
_TYPES = {
    **dict.fromkeys(("base_weights", "loss_changes", "split_conditions", "sum_hessian"), "f4"),
    **dict.fromkeys(("left_children", "right_children", "parents", "split_indices"), "i4"),
    **dict.fromkeys(("default_left", "split_type"), "u1"),
    **dict.fromkeys(("categories", "categories_nodes"), "i4"),
    **dict.fromkeys(("categories_segments", "categories_sizes"), "i8"),
    **dict.fromkeys(("leaf_weights", "weights"), "f4"),
}


def export(model: Model, output: Path) -> Written:
    """Write the booster; raises ModelError."""
    if output.suffix not in (_UBJ, _JSON):
        raise ModelError(
            f"{output} does not say which of XGBoost's formats: end --output with {_JSON} or {_UBJ}"
        )
    document = {name: model.content[name] for name in _MODEL if name in model.content}
    try:
        content = _ubj(document) if output.suffix == _UBJ else _json(document)
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise ModelError(f"it is no whole model of XGBoost: {error}") from error
    write(output, content)
    name = "UBJ" if output.suffix == _UBJ else "JSON"
    return Written(output, f"XGBoost's {name}: {model.facts['objective']}, {_size(model.facts)}")


def _size(facts: Mapping[str, Any]) -> str:
    of = f"{facts['features']} features"
    return f"{facts['trees']} trees of {of}" if "trees" in facts else f"weights of {of}"


def _ubj(document: Mapping[str, Any]) -> bytes:
    return ubjson.dumps(_typed(document))


def _json(document: Mapping[str, Any]) -> bytes:
    # XGBoost's reader keeps escapes such as \u00fc as they are: texts are written without.
    return json.dumps(document, default=_listed, ensure_ascii=False).encode()


def _typed(value: Any, name: str = "") -> Any:
    """The document with arrays where lists of numbers are."""
    if isinstance(value, dict):
        return {key: _typed(each, key) for key, each in value.items()}
    if name in _TYPES and isinstance(value, list | np.ndarray):
        return np.asarray(value, _TYPES[name])
    return [_typed(each) for each in value] if isinstance(value, list) else value


def _listed(value: Any) -> list[Any]:
    """An array's numbers, those of four bytes with the fewest digits that mean the same."""
    if not isinstance(value, np.ndarray):
        raise TypeError(type(value).__name__)
    if value.dtype.kind == "f" and value.dtype.itemsize == 4:
        return [float(text) for text in value.astype("U")]
    found: list[Any] = value.tolist()
    return found

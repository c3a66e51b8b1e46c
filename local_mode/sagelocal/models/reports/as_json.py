"""A model as JSON, for programs. What is no number in JSON (NaN, infinity) is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sagelocal.models.model import Model, Unread
from sagelocal.models.networks import Network
from sagelocal.models.source import Files
from sagelocal.models.statistics import statistics


def as_json(model: Model, files: Files) -> str:
    """One object; arrays are in the file's order."""
    arrays = list(_arrays(model))
    document = {
        "family": model.family,
        "says": model.says,
        "because": model.because,
        "facts": model.facts,
        "hyperparameters": model.hyperparameters,
        "parameters": sum(array["count"] for array in arrays),
        "arrays": arrays,
        "network": _network(model.network) if model.network else None,
        "files": [
            {"name": path.as_posix(), "bytes": files.at(path).stat().st_size}
            for path in (*files.paths, *files.code)
        ],
        "notes": list(model.notes),
    }
    return json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _arrays(model: Model) -> Any:
    for name, array in model.arrays.items():
        found = statistics(array)
        yield {
            "name": name,
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "count": math.prod(array.shape),
            "bytes": array.size_bytes if isinstance(array, Unread) else array.nbytes,
            "statistics": None
            if found is None
            else {
                "min": found.minimum,
                "max": found.maximum,
                "mean": found.mean,
                "std": found.deviation,
                "zeros": found.zeros,
                "not_finite": found.not_finite,
            },
            **({"not_read": array.reason} if isinstance(array, Unread) else {}),
        }


def _network(network: Network) -> dict[str, Any]:
    return {
        "inputs": dict(network.inputs),
        "operators": [
            {
                "name": each.name,
                "operator": each.op,
                "inputs": list(each.inputs),
                "settings": dict(each.settings),
                "parameters": dict(each.parameters),
                "shape": each.shape,
            }
            for each in network.operators
        ],
        "outputs": list(network.outputs),
    }


def _plain(value: Any) -> Any:
    """Only what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool | None):
        return value
    return str(value)

"""Readers of the built-in algorithms' artifacts: `model_algo-1`, and what lies beside it.

Each takes the files of a model and gives what it is, or None where it is of another kind; it raises
ModelError where it is of this kind and broken. The layouts are in the READMEs of the families.
"""

from __future__ import annotations

import ast
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sagelocal_formats import FormatError, mxnet_ndarray, mxnet_symbol
from sagelocal_formats.mxnet_ndarray import NDArrayFile, SavedArray
from sagelocal_formats.mxnet_symbol import Symbol

from sagelocal.models import indexes, networks
from sagelocal.models.errors import ModelError
from sagelocal.models.model import Model, Numbers, Unread
from sagelocal.models.source import Files

ARCHIVE = "model_*"
# A file of a ZIP may claim any size.
MOST_UNZIPPED_BYTES = 8 << 30
_NDARRAY_MAGIC = b"\x12\x01\x00\x00\x00\x00\x00\x00"
_LINEAR = ("mx-mod-symbol.json", "mx-mod-0000.params", "additional-params.json", "manifest.json")
_FACTORS = ("symbol.json", "params", "meta.json")
_SIGMOIDS = ("sigmoid", "LogisticRegressionOutput")
_SOFTMAXES = ("softmax", "SoftmaxOutput", "SoftmaxActivation", "Softmax")
_FOREST = {"roots", "points", "masses", "size"}


def linear_learner(files: Files) -> Model | None:
    """Linear Learner: a ZIP, or its members unpacked."""
    members, name = _members(files, _LINEAR[0], _LINEAR)
    if members is None:
        return None
    symbol = symbol_of(members[_LINEAR[0]], f"{name}/{_LINEAR[0]}")
    params = _needed(members, _LINEAR[1], name)
    arrays = named_arrays(params, f"{name}/{_LINEAR[1]}")
    additional = document(members.get(_LINEAR[2], b"{}"), f"{name}/{_LINEAR[2]}")
    weight = arrays.get("fc0_weight")
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        raise ModelError(f"{name} has no matrix fc0_weight; it holds {', '.join(arrays) or 'none'}")
    outputs, width = weight.shape
    last = symbol.nodes[symbol.heads[0].node].op
    kind = str(additional.get("predictor_type") or _predictor(last, outputs))
    facts = {
        "predictor_type": kind,
        "features": width,
        "outputs": outputs,
        "link": _link(last),
        **({"threshold": additional["threshold"]} if "threshold" in additional else {}),
    }
    says = f"a Linear Learner {kind.replace('_', ' ')}"
    network = networks.of_symbol(symbol, _shapes(arrays))
    return Model("linear-learner", says, name, facts, {}, arrays, network, symbol)


def _link(operator: str) -> str:
    if operator in _SIGMOIDS:
        return "sigmoid"
    return "softmax" if operator in _SOFTMAXES else "identity"


def _predictor(operator: str, outputs: int) -> str:
    if outputs > 1:
        return "multiclass_classifier"
    return "binary_classifier" if operator in _SIGMOIDS else "regressor"


def factorization_machines(files: Files) -> Model | None:
    """Factorization Machines: a ZIP, or its members unpacked."""
    members, name = _members(files, _FACTORS[1], _FACTORS)
    if members is None or _FACTORS[0] not in members:
        return None
    symbol = symbol_of(members[_FACTORS[0]], f"{name}/{_FACTORS[0]}")
    arrays = named_arrays(members[_FACTORS[1]], f"{name}/{_FACTORS[1]}")
    if "v" not in arrays:
        return None
    meta = document(members.get(_FACTORS[2], b"{}"), f"{name}/{_FACTORS[2]}")
    told = meta.get("training_parameters")
    told = told if isinstance(told, dict) else {}
    kind = told.get("predictor_type")
    if kind is None:
        is_binary = symbol.nodes[symbol.heads[0].node].op in _SIGMOIDS
        kind = "binary_classifier" if is_binary else "regressor"
    # Newer originals have their factors the other way round.
    shape = arrays["v"].shape if "w1_weight" in arrays else arrays["v"].shape[::-1]
    if len(shape) != 2:
        raise ModelError(f"{name}: the factors 'v' have the shape {shape}")
    facts = {"predictor_type": kind, "features": shape[0], "factors": shape[-1]}
    says = f"a Factorization Machines {str(kind).replace('_', ' ')}"
    network = networks.of_symbol(symbol, _shapes(arrays))
    return Model("factorization-machines", says, name, facts, told, arrays, network, symbol)


def arrays_of_mxnet(files: Files) -> Model | None:
    """PCA, K-Means and Random Cut Forest: one file of arrays."""
    path = next(
        (p for p in files.named(ARCHIVE) if files.first_bytes(p, 8) == _NDARRAY_MAGIC), None
    )
    if path is None or path.suffix == ".params":
        return None
    found = arrays_in(files.at(path).read_bytes(), path.name)
    if not found.names:
        return _clusters(found, path.name)
    arrays = _by_name(found)
    if {"mean", "v"} <= arrays.keys():
        return _components(arrays, path.name)
    if arrays.keys() >= _FOREST:
        return _forest(arrays, path.name)
    return None


def _clusters(found: NDArrayFile, name: str) -> Model | None:
    centers = found.arrays[0] if len(found.arrays) == 1 else None
    if not isinstance(centers, np.ndarray) or centers.ndim != 2:
        return None
    facts = {"clusters": centers.shape[0], "features": centers.shape[1]}
    return Model("kmeans", "a K-Means model", name, facts, {}, {"centers": centers})


def _components(arrays: dict[str, Numbers | Unread], name: str) -> Model:
    components = arrays["v"]
    if len(components.shape) != 2:
        raise ModelError(f"{name}: the components 'v' have the shape {components.shape}")
    facts: dict[str, Any] = {
        "features": components.shape[0],
        "components": components.shape[1],
        "order": "the largest component is the last",
    }
    return Model("pca", "a PCA", name, facts, {}, arrays)


def _forest(arrays: dict[str, Numbers | Unread], name: str) -> Model:
    size = arrays["size"]
    facts = {
        "trees": arrays["roots"].shape[0],
        "points_per_tree": int(np.ravel(size)[0]) if isinstance(size, np.ndarray) else None,
        "features": arrays["points"].shape[-1],
        "leaves": arrays["points"].shape[0],
    }
    return Model("random-cut-forest", "a Random Cut Forest", name, facts, {}, arrays)


def neighbours(files: Files) -> Model | None:
    """k-NN: a faiss index, labels, and how they are used."""
    path = next((p for p in files.named(ARCHIVE) if indexes.is_index(files.first_bytes(p))), None)
    if path is None:
        return None
    index = indexes.read(files.at(path))
    beside = {suffix: path.with_name(f"{path.name}.{suffix}") for suffix in ("json", "labels")}
    for missing in (each for each in beside.values() if each not in files.paths):
        raise ModelError(f"the index {path.name} lacks {missing.name} beside it")
    about = _about(files.at(beside["json"]))
    labels = files.at(beside["labels"]).read_bytes()
    if len(labels) != 4 * index.rows:
        raise ModelError(
            f"{beside['labels'].name} has {len(labels)} bytes, and the index {index.rows} rows"
        )
    arrays: dict[str, Numbers | Unread] = {"labels": np.frombuffer(labels, "<f4")}
    if index.points is not None:
        arrays = {"points": index.points, **arrays}
    elif index.centroids is not None:
        arrays = {"centroids": index.centroids, **arrays}
    reduction = about.get("dimension_reduction") or {}
    if not isinstance(reduction, dict):
        raise ModelError(f"{beside['json'].name}: 'dimension_reduction' is no JSON object")
    facts = {
        "predictor_type": about.get("predictor_type"),
        "k": about.get("k"),
        "rows": index.rows,
        "features": reduction.get("input_dim", index.width),
        "index_type": index.kind,
        "index_metric": "COSINE" if about.get("normalize") else index.metric,
        **({"lists": index.lists, "probed_lists": index.probed_lists} if index.lists else {}),
        **({"dimension_reduction": reduction} if reduction else {}),
    }
    says = f"a k-NN {about.get('predictor_type')}"
    return Model("knn", says, path.name, facts, {}, arrays, content=about)


def _about(path: Path) -> dict[str, Any]:
    text = path.read_text(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        # The developer guide shows it with Python's False.
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            found = None
    if not isinstance(found, dict):
        raise ModelError(f"{path.name} holds no JSON object")
    return found


# --- what they share ---------------------------------------------------------------------------


def _members(
    files: Files, telling: str, names: tuple[str, ...]
) -> tuple[dict[str, bytes] | None, str]:
    """The files of a ZIP that has the one that tells its kind, or the same loose; and its name."""
    for path in files.named(ARCHIVE):
        if files.first_bytes(path, 4) == b"PK\x03\x04":
            found = _unzipped(files.at(path), names)
            if telling in found:
                return found, path.name
    loose = {path.name: path for path in files.paths if path.name in names}
    if telling not in loose:
        return None, ""
    return {name: files.at(path).read_bytes() for name, path in loose.items()}, "the model"


def _unzipped(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [e for e in archive.infolist() if PurePosixPath(e.filename).name in names]
            if sum(entry.file_size for entry in wanted) > MOST_UNZIPPED_BYTES:
                raise ModelError(f"{path.name} would unpack to more than {MOST_UNZIPPED_BYTES}")
            return {PurePosixPath(e.filename).name: archive.read(e) for e in wanted}
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise ModelError(f"{path.name} is no whole ZIP archive: {error}") from error


def _needed(members: Mapping[str, bytes], name: str, archive: str) -> bytes:
    if name not in members:
        raise ModelError(f"{archive} has no {name}; it holds {', '.join(sorted(members))}")
    return members[name]


def symbol_of(content: bytes, name: str) -> Symbol:
    """MXNet's graph; raises ModelError."""
    try:
        return mxnet_symbol.loads(content, name)
    except (FormatError, RecursionError) as error:
        raise ModelError(str(error)) from error


def arrays_in(content: bytes, name: str) -> NDArrayFile:
    """MXNet's arrays; raises ModelError."""
    try:
        return mxnet_ndarray.loads(content, name)
    except FormatError as error:
        raise ModelError(str(error)) from error


def named_arrays(content: bytes, name: str) -> dict[str, Numbers | Unread]:
    """The same by their names, without what says whether they are learned ("arg:", "aux:")."""
    return _by_name(arrays_in(content, name))


def _by_name(found: NDArrayFile) -> dict[str, Numbers | Unread]:
    names = found.names or tuple(str(place) for place in range(len(found.arrays)))
    return {
        name.removeprefix("arg:").removeprefix("aux:"): _filled(array)
        for name, array in zip(names, found.arrays, strict=True)
        if array is not None
    }


def _filled(array: SavedArray) -> Numbers | Unread:
    """A sparse array with its zeros, of which a few bytes can claim any number."""
    if isinstance(array, np.ndarray):
        return array
    dtype = array.data.dtype
    size = math.prod(max(length, 1) for length in array.shape) * dtype.itemsize
    if size > MOST_UNZIPPED_BYTES:
        reason = f"it is sparse, and with its zeros it takes {size} bytes"
        return Unread(array.shape, str(dtype), array.data.nbytes, reason)
    return array.to_dense()


def document(content: bytes, name: str) -> dict[str, Any]:
    """A JSON object; raises ModelError."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{name} holds no JSON object")
    return found


def _shapes(arrays: Mapping[str, Numbers | Unread]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}

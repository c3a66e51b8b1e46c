"""Readers of what frameworks and libraries save; as those of `built_in`."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from sagelocal.models import boosters, networks, tensors, words
from sagelocal.models.built_in import (
    MOST_UNZIPPED_BYTES,
    document,
    named_arrays,
    symbol_of,
)
from sagelocal.models.errors import ModelError
from sagelocal.models.model import Model, Numbers, Unread
from sagelocal.models.networks import Shape
from sagelocal.models.onnx_graphs import read_onnx
from sagelocal.models.pickles import (
    Array,
    Described,
    Instance,
    PickleProblem,
    describe,
)
from sagelocal.models.saved_models import read_saved_model
from sagelocal.models.source import Files

_BOOSTER_NAME = "xgboost-model*"
_PICKLE_NAMES = ("*.joblib", "*.pkl", "*.pickle")
_PICKLE = b"\x80"
_MOST_ARRAYS = 2000
_MOST_DEEP = 8
_SHAPES_FILE = "model-shapes.json"


# --- pickles: XGBoost, scikit-learn ------------------------------------------------------------


def xgboost(files: Files) -> Model | None:
    """XGBoost: `xgboost-model`, whatever it holds, and such models of other names."""
    for path in files.named(_BOOSTER_NAME) or files.paths:
        is_named = path.match(_BOOSTER_NAME)
        if not is_named and not _may_be_booster(files, path):
            continue
        booster = _booster(files.at(path))
        if booster is None and is_named:
            raise ModelError(f"{path.name} is no model of XGBoost that is known here")
        if booster is not None:
            others = [p.name for p in files.named(f"{path.name.rpartition('-')[0]}-*") if p != path]
            folds = is_named and path.name != "xgboost-model"
            notes = (f"{len(others)} more folds: {', '.join(others)}",) if folds and others else ()
            objective = booster.facts["objective"]
            more = {"folds": 1 + len(others)} if notes else {}
            return Model(
                "xgboost",
                f"an XGBoost model ({objective})",
                path.name,
                {**booster.facts, **more},
                booster.hyperparameters,
                booster.arrays,
                notes=notes,
                content=booster.document,
            )
    return None


def _may_be_booster(files: Files, path: Path) -> bool:
    begin = files.first_bytes(path, 256)
    if begin.startswith(b"{"):
        with files.at(path).open("rb") as file:
            return b"gradient_booster" in file.read() and path.suffix != ".onnx"
    return any(path.match(name) for name in _PICKLE_NAMES) or boosters.looks_like(begin)


def _booster(path: Path) -> boosters.Booster | None:
    begin = _begin(path)
    if _is_pickle(begin):
        described = described_file(path)
        if "xgboost.core.Booster" not in described.globals:
            return None
        return boosters.of_pickle(described)
    if boosters.looks_like(begin):
        return boosters.read(path.read_bytes())
    return None


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(256)


def _is_pickle(begin: bytes) -> bool:
    return begin.startswith((_PICKLE, *_COMPRESSIONS))


def _open_gzip(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb"))


def _open_zlib(path: Path) -> BinaryIO:
    unpacked = zlib.decompressobj().decompress(path.read_bytes(), MOST_UNZIPPED_BYTES)
    return io.BytesIO(unpacked)


def _open_bz2(path: Path) -> BinaryIO:
    return cast(BinaryIO, bz2.open(path, "rb"))


def _open_lzma(path: Path) -> BinaryIO:
    return cast(BinaryIO, lzma.open(path, "rb"))


# What joblib compresses with, by the first bytes.
_COMPRESSIONS: Mapping[bytes, Callable[[Path], BinaryIO]] = {
    b"\x1f\x8b": _open_gzip,
    b"\x78": _open_zlib,
    b"BZ": _open_bz2,
    b"\xfd7zXZ": _open_lzma,
    b"]\x00": _open_lzma,
}


def described_file(path: Path) -> Described:
    """What a pickle, compressed or not, would make; raises ModelError."""
    begin = _begin(path)
    opener = next((o for magic, o in _COMPRESSIONS.items() if begin.startswith(magic)), None)
    try:
        with opener(path) if opener else path.open("rb") as stream:
            return describe(stream)
    except (PickleProblem, OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
        raise ModelError(f"{path.name} is no whole pickle: {error}") from error


def scikit_learn(files: Files) -> Model | None:
    """scikit-learn, and other objects that joblib or pickle saved."""
    for path in files.named(*_PICKLE_NAMES):
        begin = files.first_bytes(path, 8)
        if not _is_pickle(begin):
            raise ModelError(f"{path.name} is no pickle: it begins with {begin!r}")
        described = described_file(files.at(path))
        packages = list(dict.fromkeys(name.partition(".")[0] for name in described.globals))
        value = described.value
        kind = value.kind if isinstance(value, Instance) else type(value).__name__
        is_own = any(name.startswith("sklearn.") for name in described.globals)
        attributes = value.attributes if isinstance(value, Instance) else {}
        facts: dict[str, Any] = {"class": kind, "packages": packages}
        for fact, name in (("scikit_learn_version", "_sklearn_version"), ("features", None)):
            found = attributes.get(name or "n_features_in_")
            if found is not None:
                facts[fact] = found
        steps = _steps(attributes)
        if steps:
            facts["steps"] = steps
        return Model(
            "scikit-learn" if is_own else None,
            f"a pickled {kind.rpartition('.')[2]}" + (" of scikit-learn" if is_own else ""),
            path.name,
            facts,
            _parameters(attributes),
            dict(_arrays_in(value)),
            notes=(
                "it is a pickle, which was read and not run; unpickling it runs code of whoever "
                "wrote it",
            ),
        )
    return None


def _steps(attributes: Mapping[Any, Any]) -> list[str]:
    steps = attributes.get("steps")
    pairs = steps if isinstance(steps, list) else []
    return [
        f"{pair[0]}: {pair[1].kind.rpartition('.')[2]}"
        for pair in pairs
        if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Instance)
    ]


def _parameters(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """An estimator's settings: what scikit-learn does not end with an underscore."""
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(name, str)
        and not name.startswith("_")
        and not name.endswith("_")
        and isinstance(value, str | int | float | bool | None)
    }


def _arrays_in(value: Any) -> Iterator[tuple[str, Numbers | Unread]]:
    """The arrays of an object and of those in it, by the way to them."""
    pending: list[tuple[str, Any, int]] = [("", value, 0)]
    count = 0
    while pending and count < _MOST_ARRAYS:
        name, one, depth = pending.pop(0)
        if isinstance(one, Array):
            count += 1
            if one.data is None or one.data.dtype.kind not in "fiub":
                yield name, Unread(one.shape, one.dtype, 0, "it holds no numbers")
            else:
                yield name, one.data
        elif depth < _MOST_DEEP:
            pending.extend((f"{name}{step}", inner, depth + 1) for step, inner in _inside(one))


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Instance):
        # Trees keep their arrays in what `__setstate__` is given.
        state = value.attributes or {"": value.state}
        yield from ((f".{key}" if key else "", inner) for key, inner in state.items())
    elif isinstance(value, dict):
        yield from ((f".{key}", inner) for key, inner in value.items() if isinstance(key, str))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            named = isinstance(inner, tuple) and len(inner) == 2 and isinstance(inner[0], str)
            step = f".{inner[0]}" if named else f"[{place}]"
            yield step, inner[1] if named else inner


# --- BlazingText -------------------------------------------------------------------------------


def blazingtext(files: Files) -> Model | None:
    """BlazingText and fastText."""
    binary = next((p for p in files.paths if files.first_bytes(p, 4) == words.FASTTEXT_MAGIC), None)
    vectors = files.named("vectors.txt") or files.named("vectors.bin")
    if binary is not None:
        found, path = words.read_fasttext(files.at(binary)), binary
        mode = found.facts["mode"]
        says = "a fastText classifier" if mode == "supervised" else f"fastText vectors ({mode})"
    elif vectors:
        path = vectors[0]
        found, says = words.read_vectors(files.at(path)), "vectors of words"
    else:
        return None
    facts = dict(found.facts)
    for evaluation in files.named("eval.json"):
        facts["evaluation"] = document(files.at(evaluation).read_bytes(), evaluation.name)
    return Model(
        "blazingtext", f"BlazingText: {says}", path.name, facts, found.hyperparameters, found.arrays
    )


# --- MXNet -------------------------------------------------------------------------------------


def mxnet(files: Files) -> Model | None:
    """MXNet's networks; Image Classification's and DeepAR's among them."""
    symbols = files.named("*-symbol.json")
    params = files.named("*.params")
    if not symbols and not params:
        return None
    arrays: dict[str, Numbers | Unread] = {}
    path = symbols[0] if symbols else params[0]
    notes: list[str] = []
    if symbols:
        prefix = path.name.removesuffix("-symbol.json")
        own = [p for p in params if re.fullmatch(rf"{re.escape(prefix)}-\d+\.params", p.name)]
        params = own or params
    if params:
        arrays = named_arrays(files.at(params[-1]).read_bytes(), params[-1].name)
        if len(params) > 1:
            names = ", ".join(each.name for each in params[:-1])
            notes.append(f"the newest parameters are shown; beside them lie {names}")
    else:
        notes.append("there are no parameters beside the network")
    if not symbols:
        facts: dict[str, Any] = {"parameters_file": params[-1].name}
        notes.append("there is no network beside the parameters, so nothing can be served of them")
        return Model(
            "mxnet", "MXNet's parameters", path.name, facts, {}, arrays, notes=tuple(notes)
        )
    symbol = symbol_of(files.at(path).read_bytes(), path.name)
    inputs = _input_shapes(files)
    shapes = {name: array.shape for name, array in arrays.items()}
    network = networks.of_symbol(symbol, shapes, inputs)
    family, says = _family_of_network(path.name)
    facts = {
        "operators": len(network.operators),
        "inputs": {name: networks.shape_text(shape) for name, shape in network.inputs.items()},
        "mxnet_version": _version(symbol.mxnet_version),
        **({"parameters_file": params[-1].name} if params else {}),
    }
    told = _configuration(files)
    return Model(
        family, says, path.name, facts, told, arrays, network, symbol, tuple(notes), inputs
    )


def _family_of_network(name: str) -> tuple[str, str]:
    if name == "image-classification-symbol.json":
        return "image-classification", "an Image Classification network"
    if name.startswith("model_"):
        return "deepar", "a DeepAR network"
    return "mxnet", "an MXNet network"


def _version(number: int) -> str:
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}" if number else "not said"


def _input_shapes(files: Files) -> dict[str, Shape]:
    """What model-shapes.json says: [{"name": "data", "shape": [1, 3, 224, 224]}], or an object."""
    for path in files.named(_SHAPES_FILE):
        try:
            found = json.loads(files.at(path).read_bytes())
        except ValueError as error:
            raise ModelError(f"{path.name} is no JSON: {error}") from error
        pairs = found.items() if isinstance(found, dict) else map(_named_shape, found)
        # The first length is the number of rows that were trained with.
        return {
            str(name): (None, *(int(n) for n in shape[1:]))
            for name, shape in pairs
            if isinstance(shape, list) and all(isinstance(n, int) for n in shape)
        }
    return {}


def _named_shape(entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, dict):
        return entry.get("name"), entry.get("shape")
    return (entry[0], entry[1]) if isinstance(entry, list) and len(entry) > 1 else (None, None)


def _configuration(files: Files) -> dict[str, Any]:
    """Hyperparameters beside a network, where a family leaves them."""
    told: dict[str, Any] = {}
    for path in files.named("*-config.json", "prediction_config.json", "hyperparameters.json"):
        told |= document(files.at(path).read_bytes(), path.name)
    return told


# --- the others --------------------------------------------------------------------------------


def hugging_face(files: Files) -> Model | None:
    """Transformers: config.json with an architecture, and weights."""
    for path in files.named("config.json"):
        config = document(files.at(path).read_bytes(), path.name)
        if "architectures" not in config and "model_type" not in config:
            continue
        arrays = _weights(files)
        architectures = config.get("architectures") or [config.get("model_type")]
        facts = {
            "architectures": architectures,
            "model_type": config.get("model_type"),
            "transformers_version": config.get("transformers_version"),
            "tokenizer": [p.name for p in files.named("tokenizer*.json", "vocab.*", "*.model")],
        }
        told = {
            name: value
            for name, value in config.items()
            if isinstance(value, str | int | float | bool) and name not in facts
        }
        says = f"a Hugging Face model ({architectures[0]})"
        return Model("hugging-face", says, path.name, facts, told, arrays)
    loose = files.named("*.safetensors")
    if loose:
        says = "tensors of safetensors, without a config.json"
        return Model("hugging-face", says, loose[0].name, {}, {}, _weights(files))
    return None


def _weights(files: Files) -> dict[str, Numbers | Unread]:
    found: dict[str, Numbers | Unread] = {}
    for path in files.named("*.safetensors"):
        found |= tensors.read_safetensors(files.at(path))[0]
    for path in [] if found else files.named("pytorch_model*.bin"):
        found |= tensors.read_torch(files.at(path))[0]
    return found


def pytorch(files: Files) -> Model | None:
    """torch.save: state dicts, modules, TorchScript."""
    for path in files.named("*.pt", "*.pth", "*.ckpt"):
        found, facts = tensors.read_torch(files.at(path))
        says = f"a PyTorch model ({facts['form']})"
        return Model("pytorch", says, path.name, facts, {}, found)
    return None


def tensorflow(files: Files) -> Model | None:
    """A SavedModel; of several versions the newest."""
    paths = files.named("saved_model.pb")
    if not paths:
        return None
    path = max(paths, key=_version_of)
    graph = read_saved_model(files.at(path))
    variables = files.at(path).parent / "variables"
    arrays: dict[str, Numbers | Unread] = {}
    if (variables / "variables.index").is_file():
        arrays = {
            name: array
            for name, array in tensors.read_checkpoint(variables).items()
            if not name.startswith("_CHECKPOINTABLE") and "/.ATTRIBUTES/OBJECT" not in name
        }
    notes = tuple(f"another version lies in {p.parent}" for p in paths if p != path)
    return Model(
        "tensorflow",
        "a TensorFlow SavedModel",
        path.as_posix(),
        graph.facts,
        {},
        arrays,
        graph.network,
        notes=notes,
    )


def _version_of(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else -1


def onnx(files: Files) -> Model | None:
    """ONNX."""
    for path in files.named("*.onnx"):
        graph = read_onnx(files.at(path))
        return Model(None, "an ONNX model", path.name, graph.facts, {}, graph.arrays, graph.network)
    return None

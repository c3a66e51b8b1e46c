"""Tensors in files of PyTorch, Hugging Face (safetensors), NumPy and TensorFlow's checkpoints.

Sources: `torch.save` (serialization.py); the README of safetensors; TensorFlow's
tensor_bundle.proto and the table format of LevelDB (doc/table_format.md).
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import numpy as np
from sagelocal_formats import FormatError
from sagelocal_formats.protobuf_wire import Message

from sagelocal.models import pickles
from sagelocal.models.errors import ModelError
from sagelocal.models.model import Numbers, Unread
from sagelocal.models.pickles import Described, Instance, PickleProblem

Tensors = dict[str, Numbers | Unread]

_SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_TORCH_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_BFLOAT16 = ("BF16", "BFloat16Storage")
_TENSORFLOW_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
_TABLE_MAGIC = 0xDB4775248B80FB57
_NOT_WHOLE = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, OSError, RuntimeError),
    *(OverflowError, MemoryError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
_LONGEST_HEADER = 100_000_000
_MOST_DEEP = 12


# --- safetensors -------------------------------------------------------------------------------


def read_safetensors(path: Path) -> tuple[Tensors, Mapping[str, str]]:
    """The tensors, and the texts that the file's writer added; raises ModelError."""
    data = np.memmap(path, np.uint8, "r") if path.stat().st_size >= 8 else np.zeros(0, np.uint8)
    try:
        (length,) = struct.unpack("<Q", data[:8].tobytes())
        if length > min(_LONGEST_HEADER, len(data) - 8):
            raise ValueError(f"its header of {length} bytes is not there")
        header = json.loads(data[8 : 8 + length].tobytes())
        texts = header.pop("__metadata__", {})
        return {name: _safe(name, entry, data, 8 + length) for name, entry in header.items()}, texts
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path.name} is no whole safetensors file: {error}") from error


def _safe(name: str, entry: Mapping[str, Any], data: Numbers, base: int) -> Numbers | Unread:
    shape = tuple(int(length) for length in entry["shape"])
    begin, end = (int(place) for place in entry["data_offsets"])
    if not 0 <= begin <= end <= len(data) - base:
        raise ValueError(f"the tensor {name!r} lies outside of the file")
    raw = data[base + begin : base + end]
    return _numbers(str(entry["dtype"]), _SAFETENSORS_DTYPES, shape, raw)


def _numbers(
    name: str, known: Mapping[str, str], shape: tuple[int, ...], raw: Numbers
) -> Numbers | Unread:
    """`raw` as numbers; bfloat16, which NumPy lacks, as float32."""
    count = math.prod(shape)
    if name in _BFLOAT16 and raw.nbytes == 2 * count:
        wide: Numbers = (raw.view("<u2").astype("<u4") << 16).view("<f4")
        return wide.reshape(shape)
    dtype = known.get(name)
    if dtype is None or np.dtype(dtype).itemsize * count != raw.nbytes:
        return Unread(shape, name, int(raw.nbytes), f"numbers of the type {name} are not read")
    found: Numbers = raw.view(dtype).reshape(shape)
    return found


# --- PyTorch -----------------------------------------------------------------------------------


def read_torch(path: Path) -> tuple[Tensors, Mapping[str, Any]]:
    """The tensors of a .pt or .pth, and what kind of file it is; raises ModelError.

    Its pickle is looked at and not run.
    """
    try:
        if zipfile.is_zipfile(path):
            return _of_torch_archive(path)
        with path.open("rb") as file:
            return _of_torch_stream(file)
    except _NOT_WHOLE as error:
        raise ModelError(f"{path.name} is no whole file of torch.save: {error}") from error


def _of_torch_archive(path: Path) -> tuple[Tensors, Mapping[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        data = next((n for n in names if PurePosixPath(n).name == "data.pkl"), None)
        if data is None:
            raise ValueError("it is a ZIP without data.pkl")
        root = str(PurePosixPath(data).parent)
        is_script = any(name.startswith(f"{root}/code/") for name in names)

        def content(key: str) -> Numbers:
            return np.frombuffer(archive.read(f"{root}/data/{key}"), np.uint8)

        with archive.open(data) as stream:
            described = pickles.describe(cast(BinaryIO, stream), lambda key: _Storage(key, content))
        tensors = _tensors_of(described)
    return tensors, _torch_facts(described, "TorchScript" if is_script else "torch.save")


def _of_torch_stream(file: BinaryIO) -> tuple[Tensors, Mapping[str, Any]]:
    """The form before PyTorch 1.6: five pickles, then the storages that the last one lists."""
    contents: dict[str, Numbers] = {}
    kinds: dict[str, str] = {}

    def persistent(key: Any) -> Any:
        storage = _Storage(key, contents.__getitem__)
        kinds[storage.key] = storage.kind
        return storage

    for _ in range(3):
        pickles.describe(file)
    described = pickles.describe(file, persistent)
    for key in map(str, pickles.describe(file).value):
        (count,) = struct.unpack("<q", file.read(8))
        if key not in kinds:
            raise PickleProblem(f"the storage {key!r} is nobody's")
        size = count * _width(kinds[key])
        if not 0 <= size <= os.fstat(file.fileno()).st_size - file.tell():
            raise PickleProblem(f"the storage {key!r} breaks off")
        contents[key] = np.frombuffer(file.read(size), np.uint8)
    return _tensors_of(described), _torch_facts(described, "torch.save before PyTorch 1.6")


def _torch_facts(described: Described, form: str) -> dict[str, Any]:
    value = described.value
    is_module = isinstance(value, Instance)
    found: dict[str, Any] = {"form": form}
    if is_module:
        found["class"] = value.kind
    elif isinstance(value, dict):
        found["keys"] = [str(key) for key in list(value)[:20]]
    return found


class _Storage:
    """The bytes behind tensors: ("storage", its class, its key, where it was, how many numbers)."""

    def __init__(self, key: Any, content: Callable[[str], Numbers]) -> None:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
            raise PickleProblem("a storage is not described as PyTorch does it")
        self.kind = str(key[1]).rpartition(".")[2]
        self.key = str(key[2])
        self._content = content

    def raw(self) -> Numbers:
        return self._content(self.key)


def _tensors_of(described: Described) -> Tensors:
    found: Tensors = {}
    for name, call in _rebuilt(described.value, "", 0):
        storage, offset, shape, stride = call[:4]
        found[name or "tensor"] = _tensor(storage, offset, tuple(shape), tuple(stride))
    return found


def _rebuilt(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The arguments of every call that makes a tensor, by where it lies."""
    if depth > _MOST_DEEP:
        return
    if isinstance(value, Instance):
        if value.kind.endswith(("_rebuild_tensor_v2", "_rebuild_tensor")):
            yield name, value.arguments
        elif value.kind.endswith(("_rebuild_parameter", "_rebuild_parameter_with_state")):
            yield from _rebuilt(value.arguments[0], name, depth + 1)
        else:
            yield from _rebuilt(value.attributes, name, depth + 1)
    elif isinstance(value, dict):
        for key, inner in value.items():
            # Of a module: {"_parameters": {...}, "_modules": {...}}.
            skipped = key in ("_parameters", "_modules", "_buffers")
            parts = [part for part in (name, "" if skipped else str(key)) if part]
            yield from _rebuilt(inner, ".".join(parts), depth + 1)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _rebuilt(inner, f"{name}[{place}]", depth + 1)


def _tensor(
    storage: Any, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> Numbers | Unread:
    if not isinstance(storage, _Storage):
        raise PickleProblem("a tensor has no storage")
    dtype = _TORCH_DTYPES.get(storage.kind)
    size = math.prod(shape) * (np.dtype(dtype).itemsize if dtype else 2)
    raw = storage.raw()
    whole = _numbers(storage.kind, _TORCH_DTYPES, (raw.nbytes // _width(storage.kind),), raw)
    if isinstance(whole, Unread):
        return Unread(shape, whole.dtype, size, whole.reason)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if math.prod(shape) and not 0 <= last < len(whole):
        raise PickleProblem(f"a tensor of the shape {shape} lies outside of its storage")
    if math.prod(shape) > len(whole):
        return Unread(shape, str(whole.dtype), size, "its numbers are repeated")
    strides = [step * whole.itemsize for step in stride]
    view: Numbers = np.lib.stride_tricks.as_strided(whole[offset:], shape, strides)
    return np.ascontiguousarray(view).reshape(shape)


def _width(kind: str) -> int:
    return 2 if kind in _BFLOAT16 else np.dtype(_TORCH_DTYPES.get(kind, "u1")).itemsize


# --- TensorFlow's variables --------------------------------------------------------------------


def read_checkpoint(folder: Path) -> Tensors:
    """The variables beside a saved_model.pb; raises ModelError."""
    index = folder / "variables.index"
    try:
        return dict(_of_table(index.read_bytes(), folder))
    except (FormatError, struct.error, ValueError, IndexError) as error:
        raise ModelError(f"{index.name} is no whole index of variables: {error}") from error


def _of_table(data: bytes, folder: Path) -> Iterator[tuple[str, Numbers | Unread]]:
    if len(data) < 48 or struct.unpack("<Q", data[-8:])[0] != _TABLE_MAGIC:
        raise ValueError("it does not end as a table does")
    footer = data[-48:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    shards = 1
    files: dict[int, Numbers] = {}
    for _, handle in _block(data, *_handle(footer, at)):
        for key, value in _block(data, *_handle(handle, 0)):
            if not key:  # The header: how many files there are.
                shards = next((f.varint for f in _message(value).fields() if f.number == 1), shards)
                continue
            yield key.decode(errors="replace"), _variable(value, folder, shards, files)


def _variable(
    entry: bytes, folder: Path, shards: int, files: dict[int, Numbers]
) -> Numbers | Unread:
    message = _message(entry)
    fields = {item.number: item for item in message.fields()}
    dtype = fields[1].varint if 1 in fields else 0
    shape: tuple[int, ...] = ()
    if 2 in fields:
        inner = message.within(fields[2])
        dims = [inner.within(item) for item in inner.fields() if item.number == 2]
        shape = tuple(
            next((item.varint for item in dim.fields() if item.number == 1), 0) for dim in dims
        )
    shard, offset, size = (fields[n].varint if n in fields else 0 for n in (3, 4, 5))
    path = folder / f"variables.data-{shard:05}-of-{shards:05}"
    if not path.is_file():
        return Unread(shape, str(dtype), size, f"{path.name} is not there")
    if shard not in files:
        empty = path.stat().st_size == 0
        files[shard] = np.zeros(0, np.uint8) if empty else np.memmap(path, np.uint8, "r")
    if offset + size > len(files[shard]):
        raise ValueError(f"a variable lies outside of {path.name}")
    name = _TENSORFLOW_DTYPES.get(dtype)
    raw = files[shard][offset : offset + size]
    return _numbers(str(dtype), {str(dtype): name} if name else {}, shape, raw)


def _message(data: bytes) -> Message:
    return Message(memoryview(data), "variables.index")


def _handle(data: bytes, at: int) -> tuple[int, int]:
    offset, at = _varint(data, at)
    size, _ = _varint(data, at)
    return offset, size


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares its beginning with the one before."""
    if offset + size + 5 > len(data):
        raise ValueError("a block lies outside of the file")
    if data[offset + size]:
        raise ValueError("a block is compressed, which TensorFlow does not do")
    block = data[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has no end")

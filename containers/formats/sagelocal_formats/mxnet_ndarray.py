"""MXNet's NDArray list file: what `mx.nd.save` writes and `.params` files hold, without MXNet.

    u64 0x112 | u64 0 | u64 n | n arrays | u64 m | m names (u64 length, UTF-8)     m is n or 0

An array begins with a u32 that says which of four layouts follows:

    0xf993fac9 (V2)  storage type, [storage shape,] shape, context, dtype,
                     [types and shapes of the auxiliary arrays,] data, [auxiliary data]
    0xf993faca (V3)  the same under NumPy's shape rules: no dimension is a scalar, -1 is unknown
    0xf993fac8 (V1)  shape, context, dtype, data
    anything else    that number is the count of dimensions, each a u32 (before MXNet 0.12)

Everything is little-endian. Source: `NDArray::Save` and `NDArray::Load` in MXNet's
src/ndarray/ndarray.cc; the writer produces V2, the form that MXNet 1.x writes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError

LIST_MAGIC = 0x112
V1_MAGIC, V2_MAGIC, V3_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
UNDEFINED, DENSE, ROW_SPARSE, CSR = -1, 0, 1, 2
AUX_ARRAYS = {ROW_SPARSE: 1, CSR: 2}
CPU = 1
BFLOAT16 = 12
MAX_DIMENSIONS = 32

Array = NDArray[Any]

_DTYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f8"),
    2: np.dtype("<f2"),
    3: np.dtype("u1"),
    4: np.dtype("<i4"),
    5: np.dtype("i1"),
    6: np.dtype("<i8"),
    7: np.dtype("?"),
    BFLOAT16: np.dtype("<u2"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items() if code != BFLOAT16}


@dataclass(frozen=True, slots=True)
class CsrArray:
    """A compressed sparse row matrix: row i holds data[indptr[i]:indptr[i+1]]."""

    shape: tuple[int, ...]
    data: Array
    indptr: Array
    indices: Array

    def to_dense(self) -> Array:
        dense = np.zeros(self.shape, self.data.dtype)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        dense[rows, self.indices] = self.data
        return dense


@dataclass(frozen=True, slots=True)
class RowSparseArray:
    """An array of which only some rows are stored: row rows[i] is data[i]."""

    shape: tuple[int, ...]
    data: Array
    rows: Array

    def to_dense(self) -> Array:
        dense = np.zeros(self.shape, self.data.dtype)
        dense[self.rows] = self.data
        return dense


SavedArray = Array | CsrArray | RowSparseArray
AnyArray = SavedArray | None
_Sparse = TypeVar("_Sparse", CsrArray, RowSparseArray)


@dataclass(frozen=True, slots=True)
class NDArrayFile:
    """The content of one file: arrays in order, and their names if the file has any.

    An entry is None where MXNet saved an array that it had not allocated yet.
    """

    arrays: tuple[AnyArray, ...]
    names: tuple[str, ...] = ()

    def dense(self, index: int) -> Array:
        """An array by its position, sparse ones filled up; KeyError if it is not allocated."""
        array = self.arrays[index]
        if array is None:
            raise KeyError(index)
        return array if isinstance(array, np.ndarray) else array.to_dense()

    def by_name(self) -> dict[str, Array]:
        """All arrays by name, dense, as `arg:fc0_weight`; unallocated ones are left out."""
        return {
            name: self.dense(index)
            for index, name in enumerate(self.names)
            if self.arrays[index] is not None
        }


def load(path: Path) -> NDArrayFile:
    """Read a file; raises FormatError with its name."""
    return loads(path.read_bytes(), path.name)


def loads(data: bytes, source: str = "<bytes>") -> NDArrayFile:
    """Read the bytes of a file; raises FormatError."""
    cursor = _Cursor(data, source)
    magic, reserved = cursor.unpack("<QQ")
    if magic != LIST_MAGIC or reserved != 0:
        raise cursor.error(f"not an MXNet NDArray file: it begins with 0x{magic:x}, not 0x112", 0)
    arrays = tuple(_array(cursor) for _ in range(cursor.count(4, "arrays")))
    names = tuple(_name(cursor) for _ in range(cursor.count(8, "names")))
    if names and len(names) != len(arrays):
        raise cursor.error(f"{len(arrays)} arrays have {len(names)} names")
    if cursor.remaining:
        raise cursor.error(f"{cursor.remaining} bytes follow the last name")
    return NDArrayFile(arrays, names)


def save(path: Path, arrays: Mapping[str, SavedArray] | Sequence[SavedArray]) -> None:
    """Write arrays with names, or a plain list of them, as `mx.nd.save` would."""
    path.write_bytes(dumps(arrays))


def dumps(arrays: Mapping[str, SavedArray] | Sequence[SavedArray]) -> bytes:
    """The bytes that `mx.nd.save` would write; raises ValueError for what MXNet cannot hold.

    Sparse arrays stay so. MXNet wants their rows, and the columns of a row, in ascending order.
    """
    names = list(arrays) if isinstance(arrays, Mapping) else []
    values = list(arrays.values()) if isinstance(arrays, Mapping) else list(arrays)
    pieces = [struct.pack("<QQQ", LIST_MAGIC, 0, len(values))]
    pieces += [_encoded(value) for value in values]
    pieces.append(struct.pack("<Q", len(names)))
    for name in names:
        encoded = name.encode()
        pieces += [struct.pack("<Q", len(encoded)), encoded]
    return b"".join(pieces)


def _encoded(array: SavedArray) -> bytes:
    if isinstance(array, CsrArray):
        problem = _csr_problem(array)
        return _encoded_sparse(CSR, array, (array.indptr, array.indices), problem)
    if isinstance(array, RowSparseArray):
        problem = _row_sparse_problem(array)
        return _encoded_sparse(ROW_SPARSE, array, (array.rows,), problem)
    little, code = _little_endian(array)
    if array.ndim == 0 or array.size == 0:
        # In V2 both mean "not allocated yet": MXNet would read the next array from here.
        raise ValueError(f"an array of shape {array.shape} cannot be saved; give it a dimension")
    head = struct.pack("<Ii", V2_MAGIC, DENSE) + _shape_bytes(array.shape)
    return head + struct.pack("<iii", CPU, 0, code) + little.tobytes()


def _encoded_sparse(
    storage: int,
    array: CsrArray | RowSparseArray,
    auxiliary: Sequence[Array],
    problem: str | None,
) -> bytes:
    problem = problem or _unsaveable(array, auxiliary[-1])
    if problem:
        raise ValueError(f"a sparse array with {problem} cannot be saved")
    little, code = _little_endian(array.data)
    numbers = [part.astype("<i8", copy=False) for part in auxiliary]
    index_code = _CODES[np.dtype("<i8")]
    return b"".join(
        [
            struct.pack("<Ii", V2_MAGIC, storage),
            _shape_bytes(array.data.shape),
            _shape_bytes(array.shape),
            struct.pack("<iii", CPU, 0, code),
            *(struct.pack("<i", index_code) + _shape_bytes(part.shape) for part in numbers),
            little.tobytes(),
            *(part.tobytes() for part in numbers),
        ]
    )


def _unsaveable(array: CsrArray | RowSparseArray, stored: Array) -> str | None:
    """What a reader puts up with, and MXNet's operators do not."""
    wanted = (stored.size, *(array.shape[1:] if isinstance(array, RowSparseArray) else ()))
    if array.data.shape != wanted:
        return f"data of the shape {array.data.shape} instead of {wanted}"
    steps = np.diff(stored)
    if isinstance(array, CsrArray):  # from the last of a row to the first of the next one
        ends = array.indptr[1:-1]
        steps = np.delete(steps, ends[(ends > 0) & (ends < stored.size)] - 1)
    return "row or column numbers that do not ascend" if (steps <= 0).any() else None


def _little_endian(array: Array) -> tuple[Array, int]:
    """The array and MXNet's number for its type."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    code = _CODES.get(little.dtype)
    if code is None:
        raise ValueError(f"MXNet has no array type for {array.dtype}")
    return little, code


def _shape_bytes(shape: Sequence[int]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


class _Cursor:
    """A position in the bytes that never runs past their end."""

    def __init__(self, data: bytes, source: str) -> None:
        self._data = data
        self._source = source
        self.offset = 0

    @property
    def remaining(self) -> int:
        return len(self._data) - self.offset

    def take(self, size_bytes: int) -> memoryview:
        if size_bytes > self.remaining:
            raise self.error(f"truncated: {size_bytes} bytes wanted, {self.remaining} left")
        start, self.offset = self.offset, self.offset + size_bytes
        return memoryview(self._data)[start : self.offset]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def count(self, least_bytes_each: int, what: str) -> int:
        """A u64 count, refused where the rest of the file could not hold so many."""
        at = self.offset
        (number,) = self.unpack("<Q")
        if number * least_bytes_each > self.remaining:
            raise self.error(f"{number} {what} do not fit into {self.remaining} bytes", at)
        return int(number)

    def error(self, problem: str, offset: int | None = None) -> FormatError:
        at = self.offset if offset is None else offset
        return FormatError(problem, source=self._source, offset=at)


def _name(cursor: _Cursor) -> str:
    at = cursor.offset
    raw = bytes(cursor.take(cursor.count(1, "bytes of a name")))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise cursor.error(f"the name {raw!r} is not UTF-8", at) from None


def _array(cursor: _Cursor) -> AnyArray:
    (magic,) = cursor.unpack("<I")
    if magic in (V2_MAGIC, V3_MAGIC):
        return _typed_array(cursor, numpy_shapes=magic == V3_MAGIC)
    if magic == V1_MAGIC:
        shape = _shape(cursor)
        return _dense(cursor, shape) if shape else None
    shape = _legacy_shape(cursor, magic)
    return _dense(cursor, shape) if shape else None


def _typed_array(cursor: _Cursor, *, numpy_shapes: bool) -> AnyArray:
    at = cursor.offset
    (storage,) = cursor.unpack("<i")
    if storage not in (UNDEFINED, DENSE, ROW_SPARSE, CSR):
        raise cursor.error(f"unknown storage type {storage}", at)
    if storage in AUX_ARRAYS:
        _shape(cursor)  # The storage shape; its leading dimension is 0 in files, so it is not used.
    shape = _shape(cursor, unknown_is_none=numpy_shapes)
    if shape is None or (not shape and not numpy_shapes):
        return None
    if storage in AUX_ARRAYS:
        return _sparse(cursor, storage, shape)
    return _dense(cursor, shape)


def _shape(cursor: _Cursor, *, unknown_is_none: bool = False) -> tuple[int, ...] | None:
    at = cursor.offset
    (dimensions,) = cursor.unpack("<i")
    if dimensions == -1 and unknown_is_none:
        return None
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise cursor.error(f"a shape of {dimensions} dimensions", at)
    shape = cursor.unpack(f"<{dimensions}q")
    if any(length < 0 for length in shape):
        raise cursor.error(f"a shape with a negative length: {shape}", at)
    return shape


def _legacy_shape(cursor: _Cursor, dimensions: int) -> tuple[int, ...]:
    if dimensions > MAX_DIMENSIONS:
        raise cursor.error(f"not an array: it begins with 0x{dimensions:08x}", cursor.offset - 4)
    return cursor.unpack(f"<{dimensions}I")


def _dense(cursor: _Cursor, shape: tuple[int, ...] | None) -> Array:
    cursor.unpack("<ii")  # Which device the array lived on.
    code = _dtype_code(cursor)
    return _data(cursor, code, shape or ())


def _sparse(cursor: _Cursor, storage: int, shape: tuple[int, ...]) -> AnyArray:
    cursor.unpack("<ii")
    code = _dtype_code(cursor)
    layouts = [(_dtype_code(cursor), _shape(cursor) or (0,)) for _ in range(AUX_ARRAYS[storage])]
    at = cursor.offset
    if not shape:
        raise cursor.error("a sparse array without dimensions", at)
    if any(_DTYPES[kind].kind not in "iu" or len(lengths) != 1 for kind, lengths in layouts):
        raise cursor.error("row or column numbers that are no list of whole numbers", at)
    # What is stored is known from the last auxiliary array: column numbers or row numbers.
    stored = layouts[-1][1]
    data = _data(cursor, code, stored if storage == CSR else (*stored, *shape[1:]))
    auxiliary = [_data(cursor, aux_code, aux_shape) for aux_code, aux_shape in layouts]
    if storage == ROW_SPARSE:
        return _checked(RowSparseArray(shape, data, auxiliary[0]), cursor, at, _row_sparse_problem)
    return _checked(CsrArray(shape, data, auxiliary[0], auxiliary[1]), cursor, at, _csr_problem)


def _checked(
    array: _Sparse, cursor: _Cursor, at: int, problem_of: Callable[[_Sparse], str | None]
) -> _Sparse:
    problem = problem_of(array)
    if problem:
        raise cursor.error(problem, at)
    return array


def _row_sparse_problem(array: RowSparseArray) -> str | None:
    inside = (array.rows >= 0) & (array.rows < array.shape[0])
    return None if inside.all() else f"row numbers outside the shape {array.shape}"


def _csr_problem(array: CsrArray) -> str | None:
    if len(array.shape) != 2 or array.indptr.shape != (array.shape[0] + 1,):
        return f"{array.indptr.size} row pointers for the shape {array.shape}"
    steps = np.diff(array.indptr)
    if array.indptr[0] != 0 or (steps < 0).any() or array.indptr[-1] != array.indices.size:
        return "row pointers that do not run from 0 to the number of values"
    if not ((array.indices >= 0) & (array.indices < array.shape[1])).all():
        return f"column numbers outside the shape {array.shape}"
    return None


def _dtype_code(cursor: _Cursor) -> int:
    at = cursor.offset
    (code,) = cursor.unpack("<i")
    if code not in _DTYPES:
        raise cursor.error(f"unknown array type {code}", at)
    return int(code)


def _data(cursor: _Cursor, code: int, shape: tuple[int, ...]) -> Array:
    dtype = _DTYPES[code]
    raw = cursor.take(math.prod(shape) * dtype.itemsize)
    try:
        array: Array = np.ndarray(shape, dtype, buffer=raw)
    except ValueError as error:  # of nothing, and yet too long for any
        raise cursor.error(f"the shape {shape}: {error}") from error
    if code == BFLOAT16:
        return (array.astype("<u4") << 16).view("<f4")
    return array.copy()

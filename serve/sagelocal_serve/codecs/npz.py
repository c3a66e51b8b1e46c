"""application/x-npz: what scipy.sparse.save_npz or numpy.savez wrote. Never a pickle.

Needs scipy, which is loaded by the first request that brings a sparse matrix. An archive is
unpacked only as far as it keeps to MAX_BYTES, whatever it says of itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from sagelocal_serve.codecs.npy import decode_npy
from sagelocal_serve.errors import BadRequest

#: Whether this environment can read it.
AVAILABLE = importlib.util.find_spec("scipy") is not None

MAX_BYTES = 1 << 30

# The parts of a matrix beside its data, by the name of its layout.
_PARTS = {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "coo": ("row", "col")}


def decode_npz(body: bytes) -> Any:
    """A sparse matrix of scipy, or the one array of the archive; raises BadRequest."""
    arrays = {name: decode_npy(raw) for name, raw in _members(body).items()}
    if "format" in arrays:
        return _sparse(arrays)
    if len(arrays) != 1:
        raise BadRequest(
            f"The .npz body holds {len(arrays)} arrays. Send one, or a sparse matrix of "
            "scipy.sparse.save_npz."
        )
    return next(iter(arrays.values()))


def _members(body: bytes) -> dict[str, bytes]:
    left = MAX_BYTES
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    content = stream.read(left + 1)
                found[member.filename.removesuffix(".npy")] = content
                left -= len(content)
                if left < 0:
                    break
    except Exception as error:  # zipfile raises whatever its parts and its decompressors meet
        raise BadRequest("The body is not an .npz file.") from error
    if left < 0:
        raise BadRequest(f"The .npz body unpacks to more than {MAX_BYTES} bytes.")
    return found


def _sparse(arrays: Mapping[str, NDArray[Any]]) -> Any:
    layout = _text(arrays["format"])
    if layout not in _PARTS:
        raise BadRequest(
            f"The .npz body holds a sparse matrix of the format {layout[:20]!r}. Send one of "
            f"{', '.join(_PARTS)}."
        )
    if missing := [part for part in ("data", "shape", *_PARTS[layout]) if part not in arrays]:
        raise BadRequest(f"The sparse matrix in the .npz body has no {', '.join(missing)}.")
    parts = tuple(arrays[part] for part in _PARTS[layout])
    sparse = importlib.import_module("scipy.sparse")
    try:
        shape = tuple(map(int, arrays["shape"]))
        if layout == "coo":
            return sparse.coo_matrix((arrays["data"], parts), shape=shape)
        make = sparse.csr_matrix if layout == "csr" else sparse.csc_matrix
        matrix = make((arrays["data"], *parts), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise BadRequest("The parts of the sparse matrix in the .npz body do not fit.") from error
    return matrix


def _text(array: NDArray[Any]) -> str:
    value = array.item() if array.size == 1 else ""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)

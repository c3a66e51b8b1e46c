"""Requests to rows: CSV, libsvm and recordio-protobuf, as the original image reads them.

    text/csv                        features without a label; an empty cell is a missing value
    text/libsvm, text/x-libsvm      labels may be there and do not count; absent columns are missing
    application/x-recordio-protobuf dense or sparse; labels do not count

What cannot be read is a 415, as from the original, with the line and column that is to blame; rows
of more columns than the model has features are a 400, and columns that are not sent are missing.
"""

from __future__ import annotations

import logging
import math
from array import array
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.libsvm import read_libsvm
from sagelocal_formats.record_protobuf import read_matrix
from sagelocal_formats.rows import SparseRows
from sagelocal_serve.errors import BadRequest, UnsupportedMediaType
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import CSV, RECORDIO_PROTOBUF, MediaType

from sagelocal_xgboost import csv_rows
from sagelocal_xgboost.matrices import Rows

logger = logging.getLogger(__name__)

LIBSVM = ("text/libsvm", "text/x-libsvm")

_LONGEST_ROW_BYTES = 1 << 16


def decode(request: Request, width: int) -> Rows:
    """The rows of a request for a model of `width` features.

    Raises UnsupportedMediaType for what cannot be read, BadRequest for rows that are wider.
    """
    kind = request.content_type if "content-type" in request.headers else _DEFAULT
    return _of_width(read(request.body, kind), width, kind.essence)


def read(body: bytes, content_type: MediaType) -> Rows:
    """The rows of a body; raises UnsupportedMediaType, as the original does for broken ones too."""
    found = _READERS.get(content_type.canonical)
    if found is None:
        raise UnsupportedMediaType(
            f"Content-type {content_type.essence} not supported. Supported content-type is "
            f"{', '.join(_READERS)}"
        )
    name, reader = found
    try:
        return reader(body)
    except (FormatError, ValueError, OverflowError) as error:
        raise UnsupportedMediaType(
            f"Loading {name} data failed with Exception, please ensure data is in {name} format: "
            f"{error}"
        ) from error


def decode_row(request: Request, width: int) -> array[float] | None:
    """The one row of a plain CSV request as float32; None for everything else, without a reason."""
    body = request.body
    if request.content_type.canonical != CSV or len(body) > _LONGEST_ROW_BYTES:
        return None
    line = body.rstrip(b"\r\n")
    # Python reads 1_0 as a number, and nothing else does.
    if b"\n" in line or b"\r" in line or b"_" in line:
        return None
    cells = line.split(b",")
    if len(cells) != width or not body.isascii():
        return None
    try:
        row = array("f", map(float, cells))
    except ValueError:
        return None
    # Sums of finite numbers may overflow; then the careful way looks again.
    return row if math.isfinite(math.fsum(row)) else None


def _csv(body: bytes) -> NDArray[np.float32]:
    rows = csv_rows.read(body, "the body")
    if not len(rows):
        raise ValueError("the body has no rows")
    return rows


def _libsvm(body: bytes) -> SparseRows:
    """Rows with a label or without one."""
    lines = []
    for line in body.split(b"\n"):
        first = line.split(None, 1)[:1]
        has_no_label = bool(first) and b":" in first[0]
        lines.append(b"0 " + line if has_no_label else line)
    rows = read_libsvm(b"\n".join(lines), "the body").features
    if not len(rows):
        raise ValueError("the body has no rows")
    return rows


def _recordio(body: bytes) -> Rows:
    features = read_matrix(body, "the body").features
    if not len(features):
        raise ValueError("the body has no records")
    if isinstance(features, SparseRows):
        return features
    with np.errstate(over="ignore"):
        rows = features.astype(np.float32, copy=False)
    if np.isinf(rows).any():
        row, column = np.argwhere(np.isinf(rows))[0]
        raise ValueError(f"record {row + 1}, feature {column + 1} is no finite 32-bit number")
    return rows


def _of_width(rows: Rows, width: int, content_type: str) -> Rows:
    """The rows, as wide as the model; raises BadRequest for wider ones."""
    if isinstance(rows, SparseRows):
        found = int(rows.keys.max()) + 1 if len(rows.keys) else 0
        if found > width:
            raise BadRequest(
                f"Unable to evaluate payload provided: Feature size of {content_type} inference "
                f"data {found} is larger than feature size of trained model {width}."
            )
        return SparseRows(rows.indptr, rows.keys, rows.values, width)
    found = rows.shape[1]
    if found > width:
        raise BadRequest(
            f"Unable to evaluate payload provided: Feature size of {content_type} inference data "
            f"{found} is not consistent with feature size of trained model {width}. "
            "Send the features without the label."
        )
    if found < width:
        _say_what_is_missing(content_type, found, width)
        return np.pad(rows, ((0, 0), (0, width - found)), constant_values=np.nan)
    return rows


@cache
def _say_what_is_missing(content_type: str, found: int, width: int) -> None:
    """Once, as each caller would fill the log: the predictions look as good as any."""
    # Files of libsvm mostly count columns from 1, and such a model has an empty column 0.
    logger.warning(
        "Requests of %s have %d columns and the model %d features: the last %d count as missing. "
        "A model of libsvm files that count from 1 has a column 0, too: send it empty",
        content_type,
        found,
        width,
        width - found,
    )


_DEFAULT = MediaType.parse(CSV)

_READERS: dict[str, tuple[str, Callable[[bytes], Rows]]] = {
    CSV: ("csv", _csv),
    "text/libsvm": ("libsvm", _libsvm),
    "text/x-libsvm": ("libsvm", _libsvm),
    RECORDIO_PROTOBUF: ("recordio-protobuf", _recordio),
}

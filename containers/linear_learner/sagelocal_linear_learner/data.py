"""Channels to datasets: which files there are, which format they have, and what they hold.

Training reads `text/csv` (label first, no header) and `application/x-recordio-protobuf`, dense and
sparse; all files of a channel's folder belong to it, however deep they lie. A channel that was
given without a content type is recognised by its first bytes.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.csv_table import read_csv
from sagelocal_formats.record_protobuf import Matrix, SparseRows, read_matrix
from sagelocal_formats.recordio import MAGIC_BYTES
from sagelocal_serve.media_type import CSV, RECORDIO_PROTOBUF, MediaType, MediaTypeError
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

from sagelocal_linear_learner.rows import Dataset, DenseRows, FilledRows, Rows

CONTENT_TYPES = (RECORDIO_PROTOBUF, CSV)


@dataclass(frozen=True, slots=True)
class _Part:
    """One file's content."""

    name: str
    rows: Rows
    labels: NDArray[np.float64]


def read_dataset(channel: Channel, feature_dim: int | None = None) -> Dataset:
    """Everything in a channel; raises UserError naming the channel, file and place."""
    parts = _read_pipe(channel) if channel.input_mode == "Pipe" else _read_files(channel)
    if not parts:
        raise UserError(
            f"The channel {channel.name!r} holds no data: there is no row in {channel.path}. "
            "Check its S3Uri and S3DataType"
        )
    dataset = _joined(parts)
    _check_width(channel, dataset.rows, feature_dim)
    _check_finite(channel, dataset)
    return dataset


def _read_files(channel: Channel) -> list[_Part]:
    if not channel.path.is_dir():
        raise UserError(f"The channel {channel.name!r} has no folder {channel.path}")
    files = [path for path in channel.files() if path.stat().st_size]
    read = _reader(channel, files)
    parts = [read(path, f"{channel.name}/{path.relative_to(channel.path)}") for path in files]
    return [part for part in parts if len(part.rows)]


def _read_pipe(channel: Channel) -> list[_Part]:
    """The first epoch of a pipe: it is kept, so no later one has to be opened."""
    with tempfile.TemporaryDirectory() as folder:
        spooled = Path(folder) / channel.name
        with channel.open_pipe(0) as pipe, spooled.open("wb") as out:
            shutil.copyfileobj(pipe, out, 1 << 20)
        if not spooled.stat().st_size:
            return []
        part = _reader(channel, [spooled])(spooled, f"{channel.name} (pipe)")
        return [part] if len(part.rows) else []


def _reader(channel: Channel, files: Sequence[Path]) -> Callable[[Path, str], _Part]:
    return _READERS[_kind(channel, files)]


def _kind(channel: Channel, files: Sequence[Path]) -> str:
    if channel.content_type:
        return _declared_kind(channel, channel.content_type)
    if not files:
        return CSV
    with files[0].open("rb") as opened:
        return RECORDIO_PROTOBUF if opened.read(4) == MAGIC_BYTES else CSV


def _declared_kind(channel: Channel, content_type: str) -> str:
    try:
        media_type = MediaType.parse(content_type)
    except MediaTypeError as error:
        raise UserError(f"ContentType of the channel {channel.name!r}: {error}") from None
    if media_type.canonical not in CONTENT_TYPES:
        raise UserError(
            f"The channel {channel.name!r} has the content type {content_type!r}; linear learner "
            f"trains on {' and '.join(CONTENT_TYPES)}"
        )
    label_size = media_type.parameter("label_size", "1")
    if media_type.canonical == CSV and label_size != "1":
        raise UserError(
            f"The channel {channel.name!r} has label_size={label_size}; linear learner needs "
            "exactly one label, in the first column (label_size=1)"
        )
    return media_type.canonical


def _read_csv_part(path: Path, name: str) -> _Part:
    try:
        table = read_csv(path, name)
    except FormatError as error:
        raise UserError(str(error)) from error
    if not len(table):
        return _Part(name, DenseRows(table), np.zeros(0))
    if table.shape[1] < 2:
        raise UserError(
            f"{name} has one column; it needs the label first and at least one feature after it"
        )
    return _Part(name, DenseRows(table[:, 1:]), table[:, 0].astype(np.float64))


def _read_protobuf_part(path: Path, name: str) -> _Part:
    try:
        with path.open("rb") as opened:
            # The arrays are views into the mapping, which lives as long as they do.
            mapping = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        matrix = read_matrix(memoryview(mapping), name)
    except FormatError as error:
        raise UserError(f"{error}. The content type is {RECORDIO_PROTOBUF}") from error
    if matrix.labels is None:
        raise UserError(f"{name} has records without a label; training needs one in each")
    return _Part(name, _rows_of(matrix), matrix.labels.astype(np.float64))


def _rows_of(matrix: Matrix) -> Rows:
    features = matrix.features
    return FilledRows(features) if isinstance(features, SparseRows) else DenseRows(features)


_READERS: dict[str, Callable[[Path, str], _Part]] = {
    CSV: _read_csv_part,
    RECORDIO_PROTOBUF: _read_protobuf_part,
}


def _joined(parts: Sequence[_Part]) -> Dataset:
    first = parts[0]
    for part in parts:
        if part.rows.width != first.rows.width:
            raise UserError(
                f"{part.name} has {part.rows.width} features, {first.name} has "
                f"{first.rows.width}: all files of a channel need the same"
            )
    if len(parts) == 1:
        return Dataset(first.rows, first.labels)
    labels = np.concatenate([part.labels for part in parts])
    return Dataset(_joined_rows([part.rows for part in parts]), labels)


def _joined_rows(parts: Sequence[Rows]) -> Rows:
    dense = [part for part in parts if isinstance(part, DenseRows)]
    if len(dense) == len(parts):
        return DenseRows(np.concatenate([part.matrix for part in dense]))
    return FilledRows(_joined_sparse([_as_sparse(part) for part in parts]))


def _as_sparse(part: Rows) -> SparseRows:
    if isinstance(part, FilledRows):
        return part.sparse
    dense = part.part(0, len(part))
    rows, keys = np.nonzero(dense)
    lengths = np.bincount(rows, minlength=len(dense))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return SparseRows(indptr, keys.astype(np.int64), dense[rows, keys], part.width)


def _joined_sparse(parts: Iterable[SparseRows]) -> SparseRows:
    parts = list(parts)
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return SparseRows(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.values for part in parts]),
        parts[0].width,
    )


def _check_width(channel: Channel, rows: Rows, feature_dim: int | None) -> None:
    if feature_dim is not None and rows.width != feature_dim:
        raise UserError(
            f"The channel {channel.name!r} has {rows.width} features, expected {feature_dim} "
            "(feature_dim, or the width of the training data)"
        )


def _check_finite(channel: Channel, dataset: Dataset) -> None:
    """CSV was checked while it was read; records say here which one is to blame."""
    bad = np.flatnonzero(~np.isfinite(dataset.labels))
    if bad.size:
        raise UserError(
            f"The channel {channel.name!r}: the label of record {bad[0] + 1} is "
            f"{dataset.labels[bad[0]]}, not a finite number"
        )
    rows = dataset.rows
    step = max(1, (1 << 20) // max(rows.width, 1))
    for start in range(0, len(rows), step):
        finite = np.isfinite(rows.part(start, start + step))
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise UserError(
                f"The channel {channel.name!r}: feature {column + 1} of record "
                f"{start + row + 1} is not a finite 32-bit number"
            )

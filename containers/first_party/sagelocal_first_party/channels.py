"""Channels to datasets: which files there are, which format they have, and what they hold.

    TRAIN = DataChannel("train", required=True, label="ignored")
    dataset = TRAIN.read(environment.channels["train"], width=50)

`text/csv` has no header and its labels first, as many columns as `;label_size=N` says (1 where it
says nothing); `application/x-recordio-protobuf` is dense or sparse. All files of a channel's folder
belong to it, however deep they lie; in Pipe mode the first epoch is read and kept. A channel that
was given without a content type is recognised by its first bytes. Source: the developer guide's
page "Common Data Formats for Training".
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.csv_table import read_csv
from sagelocal_formats.record_protobuf import Matrix, SparseRows, read_matrix
from sagelocal_formats.recordio import MAGIC_BYTES
from sagelocal_serve.media_type import CSV, RECORDIO_PROTOBUF
from sagelocal_train.channels import (
    ChannelDeclaration,
    Channels,
    InputMode,
    media_parameters,
    media_type,
)
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

from sagelocal_first_party.rows import (
    Dataset,
    DenseRows,
    FilledRows,
    Origin,
    Rows,
    as_sparse,
    batches,
)

LabelUse = Literal["required", "optional", "ignored"]
Labels = NDArray[np.float64]

# Cells looked at together for what is not finite.
_BLOCK_CELLS = 1 << 20
_NO_LABELS: Labels = np.zeros(0)


@dataclass(frozen=True)
class DataChannel(ChannelDeclaration):
    """A channel of rows of numbers.

    `label` says what becomes of labels: one is required in each row, or taken where there is one,
    or never looked at. `distribution` is the only S3DataDistributionType that the original takes.
    """

    content_types: tuple[str, ...] = (RECORDIO_PROTOBUF, CSV)
    input_modes: tuple[InputMode, ...] = ("File", "FastFile", "Pipe")
    label: LabelUse = "required"
    distribution: str | None = None

    def violations(self, channel: Channel) -> list[str]:
        """What is wrong with the channel that a job gives, in words for the user."""
        found = super().violations(channel)
        if not found and channel.content_type is not None:
            found += self._label_violations(channel, channel.content_type)
        if self.distribution is not None and channel.distribution not in (None, self.distribution):
            found.append(
                f"Channel {channel.name!r} has S3DataDistributionType {channel.distribution!r}; "
                f"this algorithm takes {self.distribution!r} only"
            )
        return found

    def _label_violations(self, channel: Channel, content_type: str) -> list[str]:
        given = media_parameters(content_type).get("label_size", "1")
        if media_type(content_type) != CSV or given == "1":
            return []
        if not given.isdecimal():
            return [f"Channel {channel.name!r} has label_size={given}, which is no whole number"]
        if self.label == "required" or (self.label == "optional" and given != "0"):
            return [
                f"Channel {channel.name!r} has label_size={given}; this algorithm needs exactly "
                "one label, in the first column (label_size=1)"
            ]
        return []

    def read(
        self, channel: Channel, width: int | None = None, width_is: str = "feature_dim"
    ) -> Dataset:
        """Everything in the channel; raises UserError naming the channel, file and row.

        `width` is how many features there have to be, `width_is` where that number comes from.
        """
        reader = _Reader(self, channel)
        parts = reader.pipe() if channel.input_mode == "Pipe" else reader.files()
        if not parts:
            raise UserError(_no_data(channel))
        dataset = _joined(parts)
        if width is not None and dataset.rows.width != width:
            raise UserError(
                f"{parts[0].name} has {dataset.rows.width} features, expected {width} "
                f"({width_is}){reader.hint}"
            )
        return dataset


def train_and_test(help: str, label: LabelUse = "required") -> Channels:
    """The channels of an algorithm with one to learn from, on any host, and one to measure."""
    return Channels(
        DataChannel("train", required=True, label=label, help=f"{help} May be sharded over hosts."),
        DataChannel("test", label=label, help="Only measured."),
    )


def _no_data(channel: Channel) -> str:
    shards = (
        ", and that there is at least one object for each instance"
        if channel.distribution == "ShardedByS3Key"
        else ""
    )
    return (
        f"The channel {channel.name!r} holds no data: there is no row in {channel.path}. "
        f"Check its S3Uri and S3DataType{shards}"
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One file's content."""

    name: str
    rows: Rows
    labels: Labels


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the files of one channel of a job."""

    declared: DataChannel
    channel: Channel

    def files(self) -> list[_Part]:
        channel = self.channel
        if not channel.path.is_dir():
            raise UserError(f"The channel {channel.name!r} has no folder {channel.path}")
        files = [path for path in channel.files() if path.stat().st_size]
        kind = self._kind(files)
        parts = [
            self._part(path, f"{channel.name}/{path.relative_to(channel.path)}", kind)
            for path in files
        ]
        return [part for part in parts if len(part.rows)]

    def pipe(self) -> list[_Part]:
        """The first epoch of a pipe: it is kept, so no later one has to be opened."""
        with tempfile.TemporaryDirectory() as folder:
            spooled = Path(folder) / self.channel.name
            with self.channel.open_pipe(0) as pipe, spooled.open("wb") as out:
                shutil.copyfileobj(pipe, out, 1 << 20)
            if not spooled.stat().st_size:
                return []
            part = self._part(spooled, f"{self.channel.name} (pipe)", self._kind([spooled]))
            return [part] if len(part.rows) else []

    @property
    def label_columns(self) -> int:
        """How many columns of a CSV are labels."""
        if self.channel.content_type is None:
            return int(self.declared.label == "required")
        return int(media_parameters(self.channel.content_type).get("label_size", "1"))

    @property
    def hint(self) -> str:
        """What to say to those who may not know that the first column of a CSV is a label."""
        content_type = self.channel.content_type or ""
        known = "label_size" in media_parameters(content_type) or self.declared.label == "required"
        if known or media_type(content_type) != CSV:
            return ""
        return (
            ". The first column of text/csv is a label; for data without labels set the content "
            "type to text/csv;label_size=0"
        )

    def _kind(self, files: Sequence[Path]) -> str:
        if self.channel.content_type:
            return media_type(self.channel.content_type)
        if not files:
            return CSV
        with files[0].open("rb") as opened:
            return RECORDIO_PROTOBUF if opened.read(4) == MAGIC_BYTES else CSV

    def _part(self, path: Path, name: str, kind: str) -> _Part:
        return self._protobuf(path, name) if kind == RECORDIO_PROTOBUF else self._csv(path, name)

    def _csv(self, path: Path, name: str) -> _Part:
        labels = self.label_columns
        try:
            table = read_csv(path, name)
        except FormatError as error:
            first = f"label_size={labels}, " if labels else ""
            raise UserError(
                f"{error}. The file is read as {CSV}: {first}numbers only, no header"
            ) from error
        if not len(table):
            return _Part(name, DenseRows(table), _NO_LABELS)
        if table.shape[1] <= labels:
            columns = "one column" if table.shape[1] == 1 else f"{table.shape[1]} columns"
            raise UserError(
                f"{name} has {columns}; it needs the label first and at least one feature after "
                f"it{self.hint}"
            )
        taken = labels == 1 and self.declared.label != "ignored"
        return _Part(
            name,
            DenseRows(table[:, labels:]),
            table[:, 0].astype(np.float64) if taken else _NO_LABELS,
        )

    def _protobuf(self, path: Path, name: str) -> _Part:
        try:
            with path.open("rb") as opened:
                # The arrays are views into the mapping, which lives as long as they do.
                mapping = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            matrix = read_matrix(memoryview(mapping), name)
        except FormatError as error:
            raise UserError(f"{error}. The file is read as {RECORDIO_PROTOBUF}") from error
        if matrix.labels is None and self.declared.label == "required":
            raise UserError(f"{name} has records without a label; training needs one in each")
        labels = _NO_LABELS
        if matrix.labels is not None and self.declared.label != "ignored":
            labels = matrix.labels.astype(np.float64)
        part = _Part(name, _rows_of(matrix), labels)
        _check_finite(part)
        return part


def _rows_of(matrix: Matrix) -> Rows:
    features = matrix.features
    return FilledRows(features) if isinstance(features, SparseRows) else DenseRows(features)


def _joined(parts: Sequence[_Part]) -> Dataset:
    first = parts[0]
    for part in parts:
        if part.rows.width != first.rows.width:
            raise UserError(
                f"{part.name} has {part.rows.width} features, {first.name} has "
                f"{first.rows.width}: all files of a channel need the same"
            )
        if bool(len(part.labels)) != bool(len(first.labels)):
            with_labels, without = (part, first) if len(part.labels) else (first, part)
            raise UserError(
                f"{with_labels.name} has labels, {without.name} has none: all files of a channel "
                "need the same"
            )
    origins = tuple(Origin(part.name, len(part.rows)) for part in parts)
    if len(parts) == 1:
        return Dataset(first.rows, first.labels, origins)
    labels = np.concatenate([part.labels for part in parts])
    return Dataset(_joined_rows([part.rows for part in parts]), labels, origins)


def _joined_rows(parts: Sequence[Rows]) -> Rows:
    dense = [part for part in parts if isinstance(part, DenseRows)]
    if len(dense) == len(parts):
        return DenseRows(np.concatenate([part.matrix for part in dense]))
    return FilledRows(_joined_sparse([as_sparse(part) for part in parts]))


def _joined_sparse(parts: Sequence[SparseRows]) -> SparseRows:
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return SparseRows(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.values for part in parts]),
        parts[0].width,
    )


def _check_finite(part: _Part) -> None:
    """Records may hold what no CSV does; says which row is to blame."""
    bad = np.flatnonzero(~np.isfinite(part.labels))
    if bad.size:
        raise UserError(
            f"{part.name}, row {bad[0] + 1}: the label is {part.labels[bad[0]]}, not a finite "
            "number; fill it in or leave the row out"
        )
    place = _not_finite(part.rows)
    if place is not None:
        row, column = place
        raise UserError(
            f"{part.name}, row {row + 1}: feature {column + 1} is not a finite 32-bit number; "
            "fill it in or leave the row out"
        )


def _not_finite(rows: Rows) -> tuple[int, int] | None:
    """Row and column of the first value that is not finite."""
    if isinstance(rows, FilledRows):
        sparse = rows.sparse
        bad = np.flatnonzero(~np.isfinite(sparse.values))
        if not bad.size:
            return None
        row = int(np.searchsorted(sparse.indptr, bad[0], side="right")) - 1
        return row, int(sparse.keys[bad[0]])
    step = max(1, _BLOCK_CELLS // max(rows.width, 1))
    for number, batch in enumerate(batches(rows, step)):
        finite = np.isfinite(batch)
        if not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            return number * step + row, column
    return None

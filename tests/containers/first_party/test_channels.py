"""Channels to datasets: what is read of each format, and what is said of what cannot be."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_first_party import DataChannel, Dataset
from sagelocal_first_party.channels import LabelUse
from sagelocal_formats.record_protobuf import SparseRows, encode_rows, encode_sparse
from sagelocal_train.channels import Channels
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

PROTOBUF = "application/x-recordio-protobuf"
TABLE = b"5,1,2\n6,3,4\n"


def channel(folder: Path, content_type: str | None, **files: bytes) -> Channel:
    for name, content in files.items():
        path = folder / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Channel("train", folder / "train", content_type)


def matrix(dataset: Dataset) -> list[list[float]]:
    rows: list[list[float]] = dataset.rows.part(0, len(dataset)).tolist()
    return rows


def sparse(*values: float) -> SparseRows:
    """Rows of three columns with one value each, in column 1."""
    count = len(values)
    return SparseRows(
        np.arange(count + 1), np.ones(count, np.int64), np.array(values, np.float32), 3
    )


@pytest.mark.parametrize(
    ("content_type", "label", "labels", "features"),
    [
        ("text/csv", "required", [5, 6], [[1, 2], [3, 4]]),
        ("text/csv; label_size=1", "optional", [5, 6], [[1, 2], [3, 4]]),
        ("text/csv;label_size=0", "optional", [], [[5, 1, 2], [6, 3, 4]]),
        ("text/csv;label_size=0", "ignored", [], [[5, 1, 2], [6, 3, 4]]),
        ("text/csv;label_size=2", "ignored", [], [[2], [4]]),
        ("text/csv", "ignored", [], [[1, 2], [3, 4]]),
        (None, "required", [5, 6], [[1, 2], [3, 4]]),
        (None, "ignored", [], [[5, 1, 2], [6, 3, 4]]),
    ],
)
def test_the_content_type_says_how_many_columns_are_labels(
    content_type: str | None,
    label: LabelUse,
    labels: list[float],
    features: list[list[float]],
    tmp_path: Path,
) -> None:
    dataset = DataChannel("train", label=label).read(channel(tmp_path, content_type, a=TABLE))
    assert dataset.labels.tolist() == labels
    assert matrix(dataset) == features


@pytest.mark.parametrize("label", ["ignored", "optional"])
def test_records_need_labels_only_where_they_are_required(label: LabelUse, tmp_path: Path) -> None:
    given = channel(tmp_path, PROTOBUF, a=encode_rows({"values": np.ones((2, 2))}))
    assert matrix(DataChannel("train", label=label).read(given)) == [[1, 1], [1, 1]]
    with pytest.raises(UserError, match="train/a has records without a label"):
        DataChannel("train").read(given)


def test_dense_and_sparse_files_are_one_dataset_that_knows_where_rows_came_from(
    tmp_path: Path,
) -> None:
    given = channel(
        tmp_path,
        PROTOBUF,
        a=encode_rows({"values": np.eye(3)}, {"values": np.arange(3)}),
        b=encode_sparse(sparse(7, 8), np.array([3, 4])),
    )
    dataset = DataChannel("train").read(given, width=3)
    assert matrix(dataset) == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 7, 0], [0, 8, 0]]
    assert dataset.labels.tolist() == [0, 1, 2, 3, 4]
    assert [dataset.place(row) for row in (0, 2, 4)] == [
        "train/a, row 1",
        "train/a, row 3",
        "train/b, row 2",
    ]


def test_a_pipe_is_read_once_and_kept(tmp_path: Path) -> None:
    given = Channel("train", tmp_path / "train", "text/csv", input_mode="Pipe")
    os.mkfifo(given.pipe(0))
    writer = threading.Thread(target=given.pipe(0).write_bytes, args=(b"1,2\n3,4\n",))
    writer.start()
    dataset = DataChannel("train").read(given)
    writer.join()
    assert dataset.labels.tolist() == [1, 3]
    assert matrix(dataset) == [[2], [4]]
    assert dataset.place(1) == "train (pipe), row 2"


def nan_in(row: int, column: int) -> NDArray[Any]:
    rows = np.zeros((4, 3))
    rows[row, column] = np.nan
    return rows


@pytest.mark.parametrize(
    ("content_type", "files", "message"),
    [
        ("text/csv;label_size=0", {"a": b"1,2\n3,x\n"}, "train/a, line 2, column 2: 'x' is not a"),
        ("text/csv;label_size=0", {"a": b"1,2\n3,x\n"}, "read as text/csv: numbers only"),
        ("text/csv;label_size=0", {"a": b"1,2\n\xff\xfe,3\n"}, "train/a, line 2, column 1"),
        ("text/csv;label_size=0", {"a": b"1,2\nnan,3\n"}, "line 2, column 1: 'nan' is not a fin"),
        ("text/csv;label_size=0", {"a": b"1,2\n", "b": b"1\n"}, "b has 1 features, train/a has 2"),
        ("text/csv;label_size=0", {"a": b""}, "holds no data.*Check its S3Uri"),
        (
            "text/csv;label_size=0",
            {"a": b"1,2\n"},
            r"2 features, expected 3 \(feature_dim\)$",
        ),
        (
            "text/csv",
            {"a": b"1,2,3\n"},
            "2 features, expected 3 .* set .*text/csv;label_size=0",
        ),
        ("text/csv", {"a": b"1\n2\n"}, "one column; it needs the label first.*label_size=0"),
        (PROTOBUF, {"a": b"1,2,3\n"}, f"train/a, byte 0: not a RecordIO.*read as {PROTOBUF}"),
        (
            PROTOBUF,
            {"a": encode_rows({"values": nan_in(2, 1)})},
            "a, row 3: feature 2 is not a f",
        ),
        (PROTOBUF, {"a": encode_sparse(sparse(1, np.inf))}, "a, row 2: feature 2 is not a finite"),
        (
            PROTOBUF,
            {
                "a": encode_rows({"values": np.ones((2, 3))}) + encode_rows({"values": np.eye(2)}),
            },
            "train/a, record 3, byte .*: 2 values where the first record has 3",
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_file_and_place(
    content_type: str, files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    given = channel(tmp_path, content_type, **files)
    with pytest.raises(UserError, match=message):
        DataChannel("train", label="ignored").read(given, width=3)


def test_files_with_and_without_labels_do_not_mix(tmp_path: Path) -> None:
    rows = np.ones((1, 2))
    given = channel(
        tmp_path,
        PROTOBUF,
        a=encode_rows({"values": rows}),
        b=encode_rows({"values": rows}, {"values": np.ones(1)}),
    )
    with pytest.raises(UserError, match="train/b has labels, train/a has none"):
        DataChannel("train", label="optional").read(given)


def test_an_empty_shard_names_the_number_of_objects(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    given = Channel("train", folder, distribution="ShardedByS3Key")
    with pytest.raises(UserError, match="at least one object for each instance"):
        DataChannel("train").read(given)


@pytest.mark.parametrize(
    ("content_type", "label", "message"),
    [
        ("text/csv;label_size=0", "required", "label_size=0; this algorithm needs exactly one"),
        ("text/csv;label_size=2", "optional", "label_size=2; this algorithm needs exactly one"),
        ("text/csv;label_size=x", "ignored", "label_size=x, which is no whole number"),
        ("application/x-npy", "ignored", "ContentType 'application/x-npy', which this algorithm"),
    ],
)
def test_a_content_type_that_does_not_fit_is_refused_before_anything_is_read(
    content_type: str, label: LabelUse, message: str, tmp_path: Path
) -> None:
    declared = Channels(DataChannel("train", label=label))
    with pytest.raises(UserError, match=message):
        declared.validate({"train": Channel("train", tmp_path / "train", content_type)})

"""Whatever bytes come: every reader gives values or a FormatError, and takes little memory."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sagelocal_formats import (
    FormatError,
    csv_table,
    image_records,
    json_lines,
    libsvm,
    mxnet_ndarray,
    mxnet_symbol,
    record_protobuf,
    recordio,
)

# Far more than any input here needs, far less than what its lengths may promise.
MEMORY_BYTES = 4 << 20
HUGE = struct.pack("<I", recordio.MAX_PART_BYTES)

READERS: dict[str, Callable[[bytes], object]] = {
    "recordio": lambda data: list(recordio.read_records(io.BytesIO(data))),
    "matrix": record_protobuf.read_matrix,
    "batches": lambda data: list(record_protobuf.read_batches(io.BytesIO(data))),
    "records": lambda data: list(record_protobuf.read_records(data)),
    "record": record_protobuf.decode,
    "images": lambda data: list(image_records.read_image_records(io.BytesIO(data))),
    "image": image_records.unpack,
    "idx": image_records.read_index,
    "lst": lambda data: list(image_records.read_list(data)),
    "csv": csv_table.read_csv,
    "libsvm": libsvm.read_libsvm,
    "json lines": lambda data: list(json_lines.read_json_lines(data)),
    "features": json_lines.read_features,
    "params": mxnet_ndarray.loads,
    "symbol": mxnet_symbol.loads,
}


def _framed(payload: bytes) -> bytes:
    stream = io.BytesIO()
    recordio.write_record(stream, payload, split_at_magic=False)
    return stream.getvalue()


def _valid() -> list[bytes]:
    """A small file of each binary format, to be damaged."""
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    sparse = record_protobuf.SparseRows(
        np.array([0, 1, 2]), np.array([1, 200]), np.ones(2, np.float32), 300
    )
    image = image_records.pack(image_records.ImageRecord((1.0, 2.0), b"jpeg", 3))
    return [
        record_protobuf.encode_rows({"values": rows}, {"values": rows[:, 0]}),
        record_protobuf.encode_sparse(sparse, rows[:, 0][:2]),
        _framed(image) * 2,
        mxnet_ndarray.dumps({"arg:weight": rows}),
    ]


# Bytes that lengths and types are made of, so that absurd ones are frequent.
lengths = st.sampled_from([b"\xff" * 4, b"\xff" * 8, HUGE, b"\x7f", b"\xff\xff\xff\xff\x0f", b"\0"])
magic = st.just(recordio.MAGIC_BYTES)
inputs = st.one_of(
    st.binary(max_size=40),
    st.lists(st.one_of(lengths, st.just(recordio.MAGIC_BYTES), st.binary(max_size=4))).map(
        b"".join
    ),
    st.builds(_framed, st.binary(max_size=40)),
    st.builds(
        lambda whole, at, damage: whole[: at % len(whole)] + damage + whole[at % len(whole) + 1 :],
        st.sampled_from(_valid()),
        st.integers(0, 1 << 10),
        st.one_of(lengths, st.binary(max_size=3)),
    ),
)


@pytest.mark.parametrize("reader", READERS)
@settings(deadline=None)
@given(inputs)
def test_any_bytes_are_values_or_a_format_error_in_little_memory(reader: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(FormatError):
            READERS[reader](data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES


def test_a_format_error_travels_between_processes() -> None:
    error = FormatError("'x' is not a number", source="a.csv", line=3, column=2)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.csv, line 3, column 2: 'x' is not a number"
    assert (again.source, again.offset, again.line, again.column) == ("a.csv", None, 3, 2)

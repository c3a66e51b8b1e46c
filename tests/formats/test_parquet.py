"""Parquet: round trips, nulls, columns that are no numbers, and damaged files."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.parquet import read_parquet, read_parquet_batches, write_parquet

tables = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.floats(width=32, allow_infinity=False),
)


def written(rows: NDArray[Any], columns: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    write_parquet(stream, rows, columns)
    return stream.getvalue()


def of(**columns: list[Any]) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


@settings(deadline=None)
@given(tables)
def test_rows_come_back(rows: NDArray[np.float32]) -> None:
    table = read_parquet(written(rows), missing=np.nan)
    np.testing.assert_array_equal(rows, table.rows)
    assert table.columns == tuple(map(str, range(rows.shape[1])))


@settings(deadline=None)
@given(tables, st.integers(1, 4))
def test_batches_join_to_the_whole(rows: NDArray[np.float32], batch_rows: int) -> None:
    batches = list(read_parquet_batches(written(rows), missing=0.0, batch_rows=batch_rows))
    assert max(len(batch.rows) for batch in batches) <= batch_rows
    np.testing.assert_array_equal(np.nan_to_num(rows), np.concatenate([b.rows for b in batches]))


def test_integers_booleans_and_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(of(label=[1, 0], flag=[True, False], price=[0.5, 2**24 + 1]))
    table = read_parquet(path)
    assert table.columns == ("label", "flag", "price")
    assert table.rows.tolist() == [[1, 1, 0.5], [0, 0, 2**24]]


def test_a_file_without_rows_keeps_its_columns() -> None:
    table = read_parquet(written(np.zeros((0, 2)), ("a", "b")))
    assert (table.columns, table.rows.shape) == (("a", "b"), (0, 2))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (of(a=[1.0, None]), "a.parquet: row 2, column 'a': there is no value"),
        (of(a=[1.0], b=[1e39]), "row 1, column 'b': the value is no finite 32-bit number"),
        (of(a=["x"]), "a.parquet: the column 'a' holds string, not numbers"),
        (of(a=[[1.0]]), "a.parquet: the column 'a' holds list<.*>, not numbers"),
        (b"1,2\n3,4\n", "a.parquet, byte 0: not a Parquet file: found b'1,2.n'"),
        (b"", "a.parquet, byte 0: not a Parquet file: found b''"),
        (of(a=[1.0])[:-9], "the Parquet file cannot be read: "),
        (b"PAR1", r"a.parquet \(4 bytes\): the Parquet file cannot be read: "),
        (b"PAR1" + b"\xff\xff\xff\x7fPAR1", "the Parquet file cannot be read: "),
    ],
)
def test_a_broken_file_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_parquet(data, "a.parquet")


def test_names_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="1 names for 2 columns"):
        written(np.zeros((1, 2)), ("a",))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_a_format_error(data: bytes) -> None:
    for beginning in (b"", b"PAR1"):
        with contextlib.suppress(FormatError):
            read_parquet(beginning + data)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_but_never_breaks(data: st.DataObject) -> None:
    whole = written(np.arange(12, dtype=np.float32).reshape(4, 3))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=2)) + whole[at + 1 :]
    with contextlib.suppress(FormatError):
        read_parquet(damaged)


WITHOUT_PYARROW = """
import sys

class NoPyarrow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name=name)

sys.meta_path.insert(0, NoPyarrow())
try:
    import sagelocal_formats.parquet
except ImportError as error:
    print(error)
"""


def test_without_pyarrow_the_error_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYARROW], capture_output=True, text=True, check=True
    )
    assert "pip install 'sagelocal-formats[parquet]'" in done.stdout

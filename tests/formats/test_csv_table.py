"""CSV to numbers and back: three readers that agree, and what they say of broken files."""

from __future__ import annotations

import contextlib
import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats import FormatError, csv_engine
from sagelocal_formats.csv_table import Engine, read_csv, write_csv

ENGINES: list[Engine] = ["polars", "numpy", "careful"]
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
tables = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite
)
NUMBERS = ["1", "-2.5", "+3", " 4 ", "5e3", "6E-2", ".5", "5.", '"7"', "1e-60", "16777217"]
NONE = [
    "0x1",
    "1_0",
    "",
    " ",
    "nan",
    "inf",
    "1e39",
    "x",
    '"',
    "\xb2",
    "\u0665",
    "true",
    "1 2",
    "#1",
]
rows = st.lists(st.sampled_from([*NUMBERS, *NONE, "-", "1d5"]), min_size=1, max_size=3)
ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r"])
texts = st.builds(lambda end, lines: end.join(lines), ends, st.lists(rows.map(",".join)))
plain_texts = st.text(alphabet='0123456789.,-+eE\n\r" naif\t\x00', max_size=25)


@pytest.fixture(autouse=True, scope="module")
def _polars_is_imported() -> None:
    """Not within the time of the first example."""
    assert csv_engine.polars() is not None


def written(table: NDArray[np.floating], labels: NDArray[np.floating] | None = None) -> bytes:
    stream = io.BytesIO()
    write_csv(stream, table, labels)
    return stream.getvalue()


def outcome(data: bytes, engine: Engine, missing: float | None) -> object:
    try:
        table = read_csv(data, "a.csv", engine=engine, missing=missing)
    except FormatError as error:
        return str(error)
    return table


@settings(deadline=None)
@given(tables)
def test_tables_come_back(table: NDArray[np.float32]) -> None:
    for engine in ENGINES:
        np.testing.assert_array_equal(table, read_csv(written(table), engine=engine))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.floats(width=32, allow_infinity=False),
    )
)
def test_empty_cells_come_back_where_they_are_allowed(table: NDArray[np.float32]) -> None:
    for engine in ENGINES:
        back = read_csv(written(table), engine=engine, missing=np.nan)
        np.testing.assert_array_equal(table, back)


@settings(deadline=None)
@given(st.one_of(texts, plain_texts), st.sampled_from([None, np.nan, 0.0]))
@example("0\n0,", None)
@example('"01', None)
@example('"0E', None)
def test_every_engine_gives_the_same_numbers_or_the_same_error(
    text: str, missing: float | None
) -> None:
    data = text.encode()
    careful = outcome(data, "careful", missing)
    for engine in ENGINES:
        found = outcome(data, engine, missing)
        if isinstance(careful, str):
            assert isinstance(found, str)
            assert careful == found
        else:
            assert isinstance(careful, np.ndarray)
            assert isinstance(found, np.ndarray)
            assert careful.shape == found.shape
            # A reader that rounds to 64 bits first may differ in the last of 32.
            np.testing.assert_array_max_ulp(careful, found, 1)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_table_or_a_format_error(data: bytes) -> None:
    for engine in ENGINES:
        with contextlib.suppress(FormatError):
            read_csv(data, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1,2\n3,x7\n", "a.csv, line 2, column 2: 'x7' is not a number"),
        (b"1,True\n", "column 2: 'True' is not a number; write 1 for True and 0 for False"),
        (b"y,a,b\n1,2,3\n", "column 1: 'y' is not a number. The line looks like a header"),
        (b"1,2\n\n3,4,5\n", "a.csv, line 3: 3 columns, the lines before it have 2"),
        (b"1,2\n3\n", "a.csv, line 2: 1 columns, the lines before it have 2"),
        (b"1,2\n3,\n", "a.csv, line 2, column 2: the value is missing"),
        (b"1,2\n,\n", "a.csv, line 2, column 1: the value is missing"),
        (b"1,2\n3,nan\n", "a.csv, line 2, column 2: 'nan' is not a finite 32-bit number"),
        (b"1,2\n3,1e39\n", "a.csv, line 2, column 2: '1e39' is not a finite 32-bit number"),
        (
            b"age,pay\n1,2\n",
            "column 1: 'age' is not a number. The line looks like a header",
        ),
        (
            b"1,2\n3,\xff4\n",
            "line 2, column 2: the byte 0xff is no UTF-8 text; save the file as UTF-8",
        ),
        (gzip.compress(b"1,2\n", mtime=0), "a.csv, byte 0: the file is gzip-compressed"),
        ("1,2\n".encode("utf-16"), "a.csv, byte 0: the text is UTF-16"),
        (b"1,2\n" + b"9" * 200_000 + b",1\n", "a.csv, line 2"),
        (b"1\n" + b'"' + b"1" * 200_000, "a.csv, line 2: the line is no row of a table"),
    ],
)
def test_a_broken_file_is_named(data: bytes, message: str, engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(FormatError, match=message):
            read_csv(source, "a.csv", engine=engine)


def test_a_mark_line_ends_quotes_and_blank_lines_are_read() -> None:
    data = b'\xef\xbb\xbf1,2\r\n\r\n"3", 4 \r\n'
    for engine in ENGINES:
        np.testing.assert_array_equal([[1, 2], [3, 4]], read_csv(data, engine=engine))


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n"])
def test_a_file_without_rows_is_an_empty_table(data: bytes) -> None:
    assert read_csv(data).shape == (0, 0)


def test_another_delimiter_may_be_named() -> None:
    assert read_csv(b"1;2\n", delimiter=";").tolist() == [[1, 2]]


def test_labels_stand_first() -> None:
    assert written(np.array([[1.5, 2]]), np.array([7.0])) == b"7,1.5,2\n"


def test_a_double_is_written_with_all_its_digits() -> None:
    table = np.array([[1 / 3, 1e-300]])
    assert np.loadtxt(io.BytesIO(written(table)), delimiter=",").tolist() == table[0].tolist()


def test_infinite_numbers_are_not_written() -> None:
    with pytest.raises(ValueError, match="row 1, column 2 is inf"):
        written(np.array([[0, np.inf]]))


def test_large_files_are_read_and_written_by_polars_and_equal_those_of_numpy(
    tmp_path: Path,
) -> None:
    table = np.random.default_rng(0).normal(size=(30_000, 40)).astype(np.float32)
    path = tmp_path / "large.csv"
    with path.open("wb") as out:
        write_csv(out, np.concatenate([table] * 2))
    auto = read_csv(path)
    np.testing.assert_array_equal(np.concatenate([table] * 2), auto)
    np.testing.assert_array_max_ulp(auto, read_csv(path, engine="numpy"), 1)


WITHOUT_POLARS = """
import io, sys

class NoPolars:
    def find_spec(self, name, path=None, target=None):
        if name == "polars":
            raise ModuleNotFoundError("No module named 'polars'", name=name)

sys.meta_path.insert(0, NoPolars())
import numpy as np
from sagelocal_formats.csv_engine import WORTH_IMPORTING_BYTES
from sagelocal_formats.csv_table import read_csv, write_csv
stream = io.BytesIO()
write_csv(stream, np.full((1_000, 800), 1 / 3, np.float32))
data = stream.getvalue()
assert len(data) > WORTH_IMPORTING_BYTES
assert read_csv(data).shape == (1_000, 800)
try:
    read_csv(data + b"1,2\\n", "a.csv")
except ValueError as error:
    print(error)
"""


def test_without_polars_numpy_reads_and_errors_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POLARS], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout
        == "a.csv, line 1001: 2 columns, the lines before it have 800; all need as many\n"
    )

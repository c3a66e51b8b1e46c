"""pyarrow and polars reading CSV to a float32 array, timed. Runs in the peers' environment.

Each line on stdin is the path of a file; the answer has the seconds of pyarrow and of polars.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars
import pyarrow
import pyarrow.csv


def with_pyarrow(path: Path, width: int) -> object:
    """A float32 matrix by way of columns."""
    names = [str(column) for column in range(width)]
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=names),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.float32())
        ),
    )
    return np.column_stack([column.to_numpy() for column in table.columns])


def with_polars(path: Path, width: int) -> object:
    """A float32 matrix, rows contiguous."""
    schema = {str(column): polars.Float32 for column in range(width)}
    return polars.read_csv(path, has_header=False, schema=schema).to_numpy(order="c")


def _seconds(read: Callable[[Path, int], object], path: Path, width: int) -> float:
    begin = time.perf_counter()
    read(path, width)
    return time.perf_counter() - begin


def main() -> None:
    for line in sys.stdin:
        path = Path(line.strip())
        with path.open() as stream:
            width = stream.readline().count(",") + 1
        readers = (with_pyarrow, with_polars)
        print("seconds", *(_seconds(read, path, width) for read in readers), flush=True)


if __name__ == "__main__":
    main()

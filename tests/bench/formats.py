"""Readers of record formats against the SDK, pyarrow and polars, in turns on the same files."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.csv_table import read_csv, write_csv
from sagelocal_formats.record_protobuf import (
    Record,
    SparseRows,
    Tensor,
    encode_rows,
    encode_sparse,
    read_batches,
    read_matrix,
    write_record,
)

from tests.bench.figures import Figure, report, seconds

ROUNDS = 7
RECORDS, WIDTH = 50_000, 50
CSV_ROWS, CSV_COLUMNS = 200_000, 51
HERE = Path(__file__).parent

Reader = Callable[[Path], list[float]]


def measure(folder: Path) -> None:
    """Print how long reading takes, and the ratios to the others."""
    with _other("SAGELOCAL_TEST_CLIENTS", "clients", "reader_sdk.py") as sdk:
        for name, data, bar in _record_files():
            path = folder / f"{name}.pbr"
            path.write_bytes(data)
            _records(name, path, sdk, bar)
    with _other("SAGELOCAL_TEST_PEERS", "peers", "reader_csv.py") as peers:
        path = folder / "rows.csv"
        rows = np.random.default_rng(0).normal(size=(CSV_ROWS, CSV_COLUMNS)).astype(np.float32)
        with path.open("wb") as out:
            write_csv(out, rows)
        _csv(path, peers)


def _records(name: str, path: Path, sdk: Reader, bar: float | None) -> None:
    data = path.read_bytes()
    ours, batches, alone, arrays = [], [], [], []
    for _ in range(ROUNDS):
        read, with_arrays = sdk(path)
        alone.append(read)
        arrays.append(with_arrays)
        ours.append(seconds(lambda: read_matrix(data)))
        batches.append(seconds(lambda: sum(map(len, read_batches(io.BytesIO(data))))))
    report(
        f"recordio-protobuf, {name}, {RECORDS} records",
        [
            Figure("sagemaker.amazon.common.read_records", alone, "s"),
            Figure("the same, and its numbers as arrays", arrays, "s"),
            Figure("read_matrix", ours, "s"),
            Figure("read_batches", batches, "s"),
            Figure("ratio read_matrix / read_records", _ratios(ours, alone), "", bar),
            Figure("ratio read_matrix / read_records with arrays", _ratios(ours, arrays), ""),
        ],
    )


def _csv(path: Path, peers: Reader) -> None:
    ours, numpy_alone, pyarrow, polars = [], [], [], []
    read_csv(path)  # imports polars
    for _ in range(ROUNDS):
        by_pyarrow, by_polars = peers(path)
        pyarrow.append(by_pyarrow)
        polars.append(by_polars)
        ours.append(seconds(lambda: read_csv(path)))
        numpy_alone.append(seconds(lambda: read_csv(path, engine="numpy")))
    fastest = [min(pair) for pair in zip(pyarrow, polars, strict=True)]
    report(
        f"CSV to float32, {CSV_ROWS} x {CSV_COLUMNS}, {path.stat().st_size >> 20} MiB",
        [
            Figure("pyarrow", pyarrow, "s"),
            Figure("polars", polars, "s"),
            Figure("read_csv", ours, "s"),
            Figure("read_csv without the extra", numpy_alone, "s"),
            Figure("ratio read_csv / the faster of both", _ratios(ours, fastest), "", 1.2),
        ],
    )


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def _record_files() -> Iterator[tuple[str, bytes, float | None]]:
    """Name, content and the bar for our time in units of the SDK's."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(RECORDS, WIDTH)).astype(np.float32)
    labels = np.arange(RECORDS, dtype=np.float32)
    yield "dense of one layout", encode_rows({"values": rows}, {"values": labels}), 0.01
    yield "mixed (uids of any length)", _with_uids(rows, labels), 0.25
    yield "sparse (2,000 columns, 30 filled)", encode_sparse(_sparse(random), labels), None


def _with_uids(rows: NDArray[np.float32], labels: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    for index, row in enumerate(rows):
        label = {"values": Tensor(labels[index : index + 1])}
        uid = f"row-{index}" if index % 3 else ""
        write_record(stream, Record({"values": Tensor(row)}, label, uid=uid))
    return stream.getvalue()


def _sparse(random: np.random.Generator) -> SparseRows:
    columns = 2_000
    filled = random.random((RECORDS, columns), np.float32) < 30 / columns
    rows, keys = np.nonzero(filled)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=RECORDS))])
    return SparseRows(indptr.astype(np.int64), keys, np.ones(len(keys), np.float32), columns)


@contextmanager
def _other(variable: str, target: str, script: str) -> Iterator[Reader]:
    """A reader in another environment, which stays up between the turns."""
    python = os.environ.get(variable)
    if not python or not Path(python).exists():
        raise SystemExit(f"{variable} names no Python interpreter ({python!r}): make {target}")
    process = subprocess.Popen(
        [python, "-W", "ignore", str(HERE / script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def read(path: Path) -> list[float]:
        stdin.write(f"{path}\n")
        stdin.flush()
        for line in stdout:  # The SDK has words of its own to say first.
            if line.startswith("seconds "):
                return [float(number) for number in line.split()[1:]]
        raise RuntimeError(f"{script} ended: run it by hand with {python} to see why")

    try:
        yield read
    finally:
        stdin.close()
        process.wait()

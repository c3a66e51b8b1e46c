"""The SageMaker SDK's reader of recordio-protobuf, timed. Runs in the clients' environment.

Each line on stdin is the path of a file; the answer has two numbers of seconds: `read_records`
alone, and with the features and labels of its messages as arrays.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sagemaker.amazon.common import read_records


def _arrays(records: list[Any]) -> None:
    labels, rows = [], []
    for record in records:
        tensor = record.features["values"].float32_tensor
        rows.append((np.array(tensor.values, np.float32), np.array(tensor.keys, np.int64)))
        labels.append(record.label["values"].float32_tensor.values[0])


def main() -> None:
    for line in sys.stdin:
        with Path(line.strip()).open("rb") as stream:
            begin = time.perf_counter()
            records = read_records(stream)
            read = time.perf_counter() - begin
            _arrays(records)
            print("seconds", read, time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()

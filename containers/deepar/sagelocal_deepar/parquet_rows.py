"""Series in Parquet: columns start, target, cat and dynamic_feat.

Needs pyarrow, which is imported here alone: most jobs have no Parquet.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet
from sagelocal_train.errors import UserError

_COLUMNS = ("start", "target", "cat", "dynamic_feat")
_BATCH_ROWS = 256


def rows(stream: BinaryIO, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row as a record, and its number, counted from 1; raises UserError."""
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        columns = [column for column in _COLUMNS if column in file.schema_arrow.names]
        if not {"start", "target"} <= set(columns):
            raise UserError(
                f"{name} has the columns {', '.join(file.schema_arrow.names)}; it needs start and "
                "target, and may have cat and dynamic_feat"
            )
        number = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            for record in batch.to_pylist():
                number += 1
                yield number, record | {"start": _text(record["start"])}
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name} cannot be read as Parquet: {reason}. Write it anew") from error


def _text(start: Any) -> Any:
    """A timestamp as a text, its zone left in for the complaint about it."""
    if isinstance(start, datetime.datetime | datetime.date):
        return start.isoformat(sep=" ") if isinstance(start, datetime.datetime) else str(start)
    return start

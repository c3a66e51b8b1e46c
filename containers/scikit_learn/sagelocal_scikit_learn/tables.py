"""A request's body as a table: an array of numbers, or a DataFrame where columns have names.

text/csv                  rows of numbers; text cells and a header line for models that know
                          the names of their columns
application/json          [[1, 2], ...], [1, 2], [{"age": 1, "city": "Oslo"}, ...], one such
                          object, {"columns": [...], "data": [[...], ...]} and
                          {"age": [1, ...], "city": [...]} (pandas' records, split and list
                          forms), each also as {"instances": ...}
application/jsonlines     one row or object per line
application/x-parquet     named columns
others                    what the serving toolkit reads, as an array
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sagelocal_serve import BadRequest, MediaType
from sagelocal_serve.charset import decode_text
from sagelocal_serve.codecs import defaults
from sagelocal_serve.codecs.delimited import decode_csv
from sagelocal_serve.codecs.json_lines import decode_json_lines
from sagelocal_serve.codecs.json_text import as_array, decode_json
from sagelocal_serve.errors import describe
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, PARQUET

Table = Any
"""An array, a sparse matrix, or a DataFrame; pandas has no type annotations."""


def read(body: bytes, content_type: MediaType, names: Sequence[str] = ()) -> Table:
    """The body as a table; `names` are the columns that the model knows.

    Raises BadRequest, or UnsupportedMediaType.
    """
    kind = content_type.canonical
    if kind == CSV:
        return _csv(decode_text(body, content_type), names)
    if kind == JSON:
        return from_json(decode_json(decode_text(body, content_type)))
    if kind == JSON_LINES:
        return from_json(decode_json_lines(decode_text(body, content_type)))
    if kind == PARQUET:
        return _parquet(body)
    return defaults.input_fn(body, str(content_type))


def from_json(value: Any) -> Table:
    """A JSON value as a table, by its form. Raises BadRequest."""
    if isinstance(value, Mapping):
        return _from_object(value)
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        if not all(isinstance(item, Mapping) for item in value):
            raise BadRequest("Some of the rows are JSON objects and some are not.")
        return _frame(lambda: pd.DataFrame.from_records(value))
    return _array(value)


def text_rows(text: str) -> pd.DataFrame:
    """The rows of a CSV that holds text, columns numbered from 0. Raises BadRequest."""
    _check_widths(text)
    return _frame(lambda: pd.read_csv(io.StringIO(text), header=None, skipinitialspace=True))


def _csv(text: str, names: Sequence[str]) -> Table:
    if not names:
        return decode_csv(text, missing=np.nan)
    first, _, rest = text.lstrip("\r\n").partition("\n")
    header = [cell.strip() for cell in next(csv.reader([first.rstrip("\r")]), [])]
    has_header = set(names) <= set(header)
    columns, rows = (header, rest) if has_header else (list(names), text)
    try:
        frame = pd.DataFrame(decode_csv(rows, missing=np.nan))
    except BadRequest:
        frame = text_rows(rows)
    if frame.shape[1] != len(columns):
        raise BadRequest(
            f"The rows of the CSV body have width {frame.shape[1]}; "
            + ("its header" if has_header else "the model")
            + f" has {len(columns)} columns: {', '.join(columns)}."
        )
    frame.columns = pd.Index(columns)
    return frame


def _check_widths(text: str) -> None:
    """pandas fills short rows up; a row that lacks a value is refused here."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    except csv.Error as error:
        raise BadRequest(f"The CSV body cannot be read: {error}.") from error
    if not rows:
        raise BadRequest("The CSV body has no rows.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise BadRequest(
                f"Row {number} of the CSV body has width {len(row)}, those before it "
                f"{len(rows[0])}."
            )


def _array(value: Any) -> Any:
    """Lists as an array; numbers beside text stay numbers."""
    array = as_array(value)
    if array.dtype.kind == "U":
        return np.array(value, dtype=object)
    if array.dtype.hasobject and any(isinstance(item, Mapping) for item in array.flat):
        raise BadRequest("A row of the body holds a JSON object in the place of a value.")
    return array


def _from_object(value: Mapping[str, Any]) -> Table:
    if "instances" in value:
        return from_json(value["instances"])
    if not value:
        raise BadRequest("The body is an empty JSON object.")
    if {"columns", "data"} <= value.keys():
        return _frame(lambda: pd.DataFrame(value["data"], columns=value["columns"]))
    if all(isinstance(item, list | Mapping) for item in value.values()):
        return _frame(lambda: pd.DataFrame(value))
    return _frame(lambda: pd.DataFrame.from_records([value]))


def _parquet(body: bytes) -> pd.DataFrame:
    return _frame(lambda: pd.read_parquet(io.BytesIO(body)))


def _frame(make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """What pandas makes of a body; whatever it says against it is the caller's fault."""
    try:
        return make()
    except Exception as error:
        raise BadRequest(f"The body is not a table: {describe(error)}.") from error

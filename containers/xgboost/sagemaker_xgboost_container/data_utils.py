"""`get_dmatrix(path, "csv")`: the rows of a channel, the label first, as a DMatrix."""

from __future__ import annotations

import os
from pathlib import Path

import xgboost
from sagelocal_train.channels import media_type
from sagelocal_train.config import Channel
from sagelocal_xgboost import data
from sagelocal_xgboost.channels import CSV, KINDS, LIBSVM
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.matrices import dmatrix


def get_content_type(content_type_cfg_val: str | None) -> str:
    """`csv`, `libsvm`, `parquet` or `recordio-protobuf`, by a content type; raises UserError."""
    if content_type_cfg_val is None:
        return LIBSVM
    kind = KINDS.get(media_type(content_type_cfg_val.lower()))
    if kind is None:
        raise UserError(
            f"{content_type_cfg_val} is not an accepted ContentType: {', '.join(KINDS)}."
        )
    return kind


def get_dmatrix(
    data_path: str | os.PathLike[str] | None,
    content_type: str,
    csv_weights: int = 0,
    is_pipe: bool = False,
) -> xgboost.DMatrix | None:
    """The rows of a file, of a folder or of the pipe of a channel; None if there are none.

    `csv_weights=1` says that the second column of CSV is the row's weight. Raises UserError that
    names file and row.
    """
    path = Path(data_path) if data_path else None
    if path is None or not (is_pipe or path.exists()):
        return None
    kind = get_content_type(content_type)
    channel = Channel(path.name, path, input_mode="Pipe" if is_pipe else "File")
    found = data.read(channel, kind, weights=kind == CSV and csv_weights == 1)
    if found is None:
        return None
    return dmatrix(
        found.rows,
        label=found.labels,
        weight=found.weights,
        qid=found.groups,
    )

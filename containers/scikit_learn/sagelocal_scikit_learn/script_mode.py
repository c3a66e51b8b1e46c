"""The user's inference script: its source, and the defaults for what it leaves out.

The SageMaker SDK gives an SKLearnModel's script as an archive in S3
(SAGEMAKER_SUBMIT_DIRECTORY=s3://...), which is fetched here before the workers start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sagelocal_serve import BadRequest, MediaType, Settings
from sagelocal_serve.codecs import defaults
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES
from sagelocal_serve.script import Functions
from sagelocal_train import source

from sagelocal_scikit_learn import models, predictions, tables
from sagelocal_scikit_learn.features import Expected

_TEXT = (CSV, JSON, JSON_LINES)


def with_local_source(settings: Settings) -> Settings:
    """The settings with the script's archive unpacked, if it is in S3.

    Raises sagelocal_train's ScriptError or PlatformError.
    """
    submitted = settings.submit_directory or ""
    if not submitted.startswith("s3://"):
        return settings
    folder = Path(tempfile.mkdtemp(prefix="source-"))
    source.bring(submitted, folder, os.environ)
    return replace(settings, submit_directory=str(folder))


def input_fn(body: bytes | str, content_type: str) -> Any:
    """The body as the original image gives it to a script, or as a DataFrame.

    Numbers in text become float32, and a CSV of one row a vector. Raises BadRequest and
    UnsupportedMediaType.
    """
    raw = body.encode() if isinstance(body, str) else body
    if not raw:
        raise BadRequest("The request has an empty body.")
    media_type = MediaType.parse(content_type)
    table = tables.read(raw, media_type)
    if not isinstance(table, np.ndarray) or media_type.canonical not in _TEXT:
        return table
    numbers = table.astype(np.float32) if table.dtype.kind in "biuf" else table
    return np.squeeze(numbers) if media_type.canonical == CSV else numbers


def predict_fn(data: Any, model: Any) -> Any:
    """What the model predicts for what input_fn, or the script's own one, gave."""
    if isinstance(data, np.ndarray | pd.DataFrame):
        data = _expected(model).arrange(data)
    return predictions.predict(model, predictions.method_of(model), data)


def output_fn(prediction: Any, accept: str) -> tuple[bytes | Iterator[bytes], str]:
    """The prediction as JSON, CSV, npy or JSON Lines; raises NotAcceptable."""
    return defaults.output_fn(predictions.plain(prediction), accept)


def _expected(model: Any) -> Expected:
    """What the model expects, asked once for each model in a row."""
    if not _last or _last[0][0] is not model:
        _last[:] = [(model, Expected.by(model))]
    return _last[0][1]


_last: list[tuple[Any, Expected]] = []

DEFAULTS = Functions(
    model_fn=models.load, input_fn=input_fn, predict_fn=predict_fn, output_fn=output_fn
)

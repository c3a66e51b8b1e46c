"""The functions of an inference script that leaves some out: DMatrix in, predictions out.

As in the original image `input_fn` makes a DMatrix of CSV, libsvm and recordio-protobuf and
`predict_fn` asks the model for its predictions; `output_fn` writes JSON, CSV or npy. The original
has no default for model_fn; here it is what the image serves without a script. A model_fn that
returns one of XGBoost's scikit-learn wrappers gets its own predict called.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import xgboost
from sagelocal_serve.codecs import defaults
from sagelocal_serve.media_type import CSV, RECORDIO_PROTOBUF, MediaType
from sagelocal_serve.script.functions import Functions
from sagelocal_serve.settings import Settings
from sagelocal_train import source

from sagelocal_xgboost import artifact, requests
from sagelocal_xgboost.matrices import dmatrix

_OWN_TYPES = frozenset({CSV, RECORDIO_PROTOBUF, *requests.LIBSVM})


def with_local_source(settings: Settings) -> Settings:
    """The settings with the script's archive unpacked, if it is in S3, as an XGBoostModel's is.

    Raises sagelocal_train's ScriptError or PlatformError.
    """
    submitted = settings.submit_directory or ""
    if not submitted.startswith("s3://"):
        return settings
    folder = Path(tempfile.mkdtemp(prefix="source-"))
    source.bring(submitted, folder, os.environ)
    return replace(settings, submit_directory=str(folder))


def model_fn(model_dir: str) -> xgboost.Booster:
    """The model that training or `save_model` left; the first of several."""
    return artifact.load_all(Path(model_dir))[0]


def input_fn(body: bytes | str, content_type: str) -> Any:
    """A DMatrix; raises UnsupportedMediaType. JSON and npy become arrays, as in other images."""
    media_type = MediaType.parse(content_type)
    if media_type.canonical not in _OWN_TYPES:
        return defaults.input_fn(body, content_type)
    raw = body.encode() if isinstance(body, str) else body
    return dmatrix(requests.read(raw, media_type))


def predict_fn(data: Any, model: Any) -> Any:
    """The model's predictions, whether or not the data has the names of its features."""
    if not isinstance(model, xgboost.Booster):
        return model.predict(data.get_data() if isinstance(data, xgboost.DMatrix) else data)
    matrix = data if isinstance(data, xgboost.DMatrix) else xgboost.DMatrix(_table(data))
    return model.predict(matrix, validate_features=False)


def _table(data: Any) -> Any:
    """One row came as a vector."""
    return data.reshape(1, -1) if getattr(data, "ndim", 2) == 1 else data


DEFAULTS = Functions(
    model_fn=model_fn, input_fn=input_fn, predict_fn=predict_fn, output_fn=defaults.output_fn
)

"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sagelocal_serve.codecs.json_lines import encode_json_lines
from sagelocal_serve.errors import BadRequest, ModelError
from sagelocal_serve.interface import ExecutionParameters, Request, Response
from sagelocal_serve.media_type import JSON

from sagelocal_deepar import artifact, requests
from sagelocal_deepar.forecaster import Forecaster
from sagelocal_deepar.frequency import Floats
from sagelocal_deepar.requests import Configuration


class DeepAR:
    """A Handler: forecasts of time series.

    Not an Algorithm, because the answer's default type is that of the request.
    """

    #: Forecasts are made in numpy, which only reads the weights: workers may share them.
    shares_memory = True

    def __init__(self) -> None:
        self._model: Forecaster | None = None
        self._batch = Configuration()

    def prepare(self, model_dir: Path) -> None:
        """There is nothing to do before the model is read."""

    def load(self, model_dir: Path) -> None:
        """Read the artifact and the environment's configuration; raises ModelError."""
        self._batch = requests.of_environment(os.environ.get(requests.CONFIGURATION_VARIABLE))
        try:
            self._model = artifact.load(model_dir)
        except artifact.LoadError as error:
            raise ModelError(str(error)) from error

    def handle(self, request: Request) -> Response:
        """Answer one request: `{"predictions": [...]}`, or an object to a line."""
        if self._model is None:
            raise ModelError("No model is loaded.")
        if not request.body:
            raise BadRequest("The request has an empty body: send at least one time series.")
        asked = requests.decode(request, self._model.shape, self._batch)
        others = tuple(kind for kind in requests.TYPES if kind != asked.preferred)
        answer = request.negotiate((asked.preferred, *others))
        samples = self._model.samples(asked.series, asked.configuration.num_samples)
        found = answers(samples, asked.configuration)
        if answer.canonical == JSON:
            return Response(json.dumps({"predictions": found}).encode(), answer)
        return Response(encode_json_lines(found), answer)

    def execution_parameters(self) -> ExecutionParameters:
        """A series may be long, and takes a while: batch transform shall send one at a time."""
        return ExecutionParameters(batch_strategy="SINGLE_RECORD", max_payload_in_mb=6)


def answers(samples: Floats, wanted: Configuration) -> Sequence[dict[str, Any]]:
    """What is wanted of the paths of each series, in the original's members."""
    levels = [float(quantile) for quantile in wanted.quantiles]
    found: list[dict[str, Any]] = [{} for _ in samples]
    for each, paths in zip(found, samples, strict=True):
        if "quantiles" in wanted.output_types:
            values = np.quantile(paths, levels, axis=0).tolist() if levels else []
            each["quantiles"] = dict(zip(wanted.quantiles, values, strict=True))
        if "samples" in wanted.output_types:
            each["samples"] = paths.tolist()
        if "mean" in wanted.output_types:
            each["mean"] = paths.mean(axis=0, dtype=np.float64).tolist()
    return found


def app() -> DeepAR:
    """What SAGEMAKER_SERVING_MODULE names."""
    return DeepAR()

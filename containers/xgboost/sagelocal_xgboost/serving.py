"""Inference: what SAGEMAKER_SERVING_MODULE names.

A script (SAGEMAKER_PROGRAM, or code/inference.py in the model) answers if there is one; without it
the models of the folder do, whoever trained them: an ensemble's predictions are averaged, or voted
on where they are labels. Statuses are the original's: 204 for an empty body, 415 for a body or
content type that cannot be read, 400 for rows that do not fit the model, 406 for the Accept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_serve.errors import ModelError
from sagelocal_serve.interface import ExecutionParameters, Handler, Request, Response
from sagelocal_serve.media_type import CSV, MediaType
from sagelocal_serve.script import ScriptHandler
from sagelocal_serve.script.location import find_script
from sagelocal_serve.settings import Settings

from sagelocal_xgboost import answers, artifact, inference, originals, requests, selectable
from sagelocal_xgboost.matrices import Rows
from sagelocal_xgboost.predictor import Predictor

OUTPUT_VARIABLE = "SAGEMAKER_INFERENCE_OUTPUT"
ENSEMBLE_VARIABLE = "SAGEMAKER_INFERENCE_ENSEMBLE"

# Of these objectives the outputs are labels, of which there is no mean.
_VOTING = frozenset({"multi:softmax", "binary:hinge"})
_CSV = MediaType.parse(CSV)
_MAX_PAYLOAD_MB = 6


@dataclass(frozen=True, slots=True)
class Options:
    """How the built-in algorithm answers; read from the environment once."""

    batch: bool = False
    ensemble: bool = True
    keys: tuple[str, ...] = ()
    on_one_line: bool = False
    workers: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether answers have the form that is usual today."""
        return not (self.keys or self.batch or self.on_one_line)

    @classmethod
    def read(cls, settings: Settings, variables: Mapping[str, str]) -> Options:
        """The options of an environment; raises ValueError for keys that do not exist."""
        selected = variables.get(OUTPUT_VARIABLE, "").strip()
        return cls(
            batch=settings.batch,
            ensemble=variables.get(ENSEMBLE_VARIABLE, "true").strip().lower() != "false",
            keys=selectable.parse_keys(selected) if selected else (),
            on_one_line=originals.answers_on_one_line(variables.get(originals.IMAGE_VARIABLE, "")),
            workers=settings.worker_count,
        )


class AlgorithmHandler:
    """The built-in algorithm: one model or an ensemble behind the hosting contract."""

    shares_memory = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._models: list[Predictor] = []

    def prepare(self, model_dir: Path) -> None:
        """Nothing has to be done before the models are read."""

    def load(self, model_dir: Path) -> None:
        """Read the models; raises ModelError in the original's words."""
        try:
            boosters = artifact.load_all(model_dir)
        except (artifact.ArtifactError, OSError) as error:
            raise ModelError(f"Unable to load model: {error}") from error
        if not self._options.ensemble:
            del boosters[1:]
        models = [Predictor(booster) for booster in boosters]
        _require_alike(models)
        self._models = models

    def handle(self, request: Request) -> Response:
        """The answer to one request; raises ServeError."""
        if not self._models:
            raise ModelError("No model is loaded.")
        if not request.body:
            return Response(b"", status=204)
        first, options = self._models[0], self._options
        if len(self._models) == 1 and options.is_plain:
            row = requests.decode_row(request, first.width)
            if row is not None:
                answer = request.negotiate(answers.OFFERS)
                if answer.canonical == CSV:
                    return Response(answers.encode_row(first.row(row)), answer)
        rows = requests.decode(request, first.width)
        answer = request.negotiate(answers.OFFERS)
        return self._answer(self._predict(rows), answer)

    def execution_parameters(self) -> ExecutionParameters:
        """One request for every worker at a time, many records in each."""
        return ExecutionParameters(self._options.workers, "MULTI_RECORD", _MAX_PAYLOAD_MB)

    def _predict(self, rows: Rows) -> NDArray[Any]:
        found: list[NDArray[Any]] = [model.rows(rows) for model in self._models]
        if len(found) == 1:
            return found[0]
        if self._models[0].objective in _VOTING:
            return _most_voted(np.stack(found))
        mean: NDArray[Any] = np.mean(found, axis=0)
        return mean

    def _answer(self, predictions: NDArray[Any], answer: MediaType) -> Response:
        keys, first = self._options.keys, self._models[0]
        if keys:
            records = selectable.select(predictions, keys, first.objective, first.num_class)
            return Response(answers.encode_records(records, answer.canonical, keys), answer)
        if self._options.batch:
            return Response(answers.encode_batch(predictions), _CSV)
        if self._options.on_one_line and answer.canonical == CSV:
            return Response(answers.encode_on_one_line(predictions), answer)
        return Response(answers.encode(predictions, answer.canonical), answer)


class XGBoostHandler:
    """The script of the model or, where there is none, the built-in algorithm."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._chosen: Handler = AlgorithmHandler(options)

    @property
    def shares_memory(self) -> bool:
        return self._chosen.shares_memory

    def prepare(self, model_dir: Path) -> None:
        """Choose; fetch a script that is in S3, and install what it requires."""
        settings = inference.with_local_source(self._settings)
        if find_script(settings, model_dir) is not None:
            self._chosen = ScriptHandler(settings, inference.DEFAULTS)
        self._chosen.prepare(model_dir)

    def load(self, model_dir: Path) -> None:
        self._chosen.load(model_dir)

    def handle(self, request: Request) -> Response:
        return self._chosen.handle(request)

    def execution_parameters(self) -> ExecutionParameters | None:
        return self._chosen.execution_parameters()


def app(settings: Settings) -> Handler:
    """The handler that `serve` runs."""
    return XGBoostHandler(settings, Options.read(settings, os.environ))


def _require_alike(models: list[Predictor]) -> None:
    """Models of an ensemble answer together, so they must be of one kind."""
    kinds = {(model.width, model.objective, model.num_class) for model in models}
    if len(kinds) > 1:
        said = "; ".join(f"{width} features, {name}" for width, name, _ in sorted(kinds))
        raise ModelError(
            f"Unable to load model: the model folder holds models that differ ({said}). Leave one "
            f"kind, or set {ENSEMBLE_VARIABLE}=false to serve the first alone"
        )


def _most_voted(votes: NDArray[Any]) -> NDArray[Any]:
    """The label that most models give each row (models x n), the smallest of several."""
    labels: NDArray[Any] = np.unique(votes)
    counts = np.stack([(votes == label).sum(axis=0) for label in labels])
    winners: NDArray[Any] = labels[counts.argmax(axis=0)]
    return winners

"""Inference of a built-in algorithm: everything but the artifact and the arithmetic.

    class Pca(FirstParty[Projector]):
        envelope = "projections"
        def read(self, model_dir): return artifact.load(model_dir)
        def width(self, model): return model.width
        def answer(self, model, rows): return {"projection": model.project(rows)}

    def app():
        return AlgorithmHandler(Pca())

Requests are text/csv, application/json, application/jsonlines and
application/x-recordio-protobuf, dense and sparse; answers are the same, JSON where nothing is said.
`Accept: application/json; verbose=true` brings the fields named in `verbose_only` as well. Source:
the developer guide's page "Common Data Formats for Inference".
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows
from sagelocal_serve.algorithm import Algorithm
from sagelocal_serve.codecs import (
    PREDICTION_TYPES,
    decode_features,
    decode_rows,
    encode_predictions,
)
from sagelocal_serve.codecs.dense import to_dense
from sagelocal_serve.errors import BadRequest, ModelError
from sagelocal_serve.interface import ExecutionParameters, Request
from sagelocal_serve.media_type import CSV, MediaType

from sagelocal_first_party.artifact import ArtifactError

Model = TypeVar("Model")
Features = NDArray[np.float32]
Records = Features | SparseRows
Columns = dict[str, NDArray[Any]]


class FirstParty(Algorithm[Model, Records, Columns]):
    """Rows of numbers in, a few fields for each out."""

    offers = PREDICTION_TYPES

    #: The key of the list in a JSON answer.
    envelope: ClassVar[str] = "predictions"

    #: Fields that are answered only to those who ask for a verbose answer.
    verbose_only: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, model_dir: Path) -> Model:
        """The model that training left; raises ArtifactError naming the file that is wrong."""

    @abstractmethod
    def width(self, model: Model) -> int:
        """How many features a record has."""

    @abstractmethod
    def answer(self, model: Model, rows: Features) -> Columns:
        """One array for each field, with one entry for each row."""

    def load(self, model_dir: Path) -> Model:
        """The model; raises ModelError."""
        try:
            return self.read(model_dir)
        except ArtifactError as error:
            raise ModelError(str(error)) from error

    def decode(self, model: Model, request: Request) -> Records:
        """One row per record, as wide as the model; sparse where every record is.

        A CSV that says `label_size=N` has N columns before the features, which are left out.
        """
        labels = _label_columns(request.content_type)
        if not labels:
            return decode_rows(request.body, request.content_type, width=self.width(model))
        table = decode_features(request.body, request.content_type)
        if table.shape[1] - labels != self.width(model):
            raise BadRequest(
                f"The records have {table.shape[1] - labels} features after label_size={labels}, "
                f"the model was trained on {self.width(model)}."
            )
        return table[:, labels:]

    def predict(self, model: Model, data: Records) -> Columns:
        """The answer's fields, those of verbose answers included.

        A family that takes sparse rows as they are overrides this.
        """
        return self.answer(model, to_dense(data) if isinstance(data, SparseRows) else data)

    def encode(self, predictions: Columns, answer: MediaType) -> bytes:
        """The answer in the negotiated format."""
        if not _is_verbose(answer):
            predictions = {
                name: column
                for name, column in predictions.items()
                if name not in self.verbose_only
            }
        return encode_predictions(predictions, answer, envelope=self.envelope)

    def execution_parameters(self) -> ExecutionParameters:
        """Batch transform may send many records in a request."""
        return ExecutionParameters(batch_strategy="MULTI_RECORD", max_payload_in_mb=6)


def _label_columns(content_type: MediaType) -> int:
    given = content_type.parameter("label_size", "0") or "0"
    if content_type.canonical != CSV:
        return 0
    if not given.isdecimal():
        raise BadRequest(f"label_size={given!r} of the Content-Type is no whole number.")
    return int(given)


def _is_verbose(answer: MediaType) -> bool:
    return (answer.parameter("verbose") or "false").lower() == "true"

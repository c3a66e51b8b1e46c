"""The handler of a built-in algorithm: load, decode, predict, encode, with no HTTP in sight.

class LinearLearner(Algorithm[LinearModel, Matrix, Columns]):
    def load(self, model_dir): return read_artifact(model_dir / "model_algo-1")
    def decode(self, model, request): return decode_features(request.body, ...)
    def predict(self, model, data): return {"score": data @ model.weights + model.bias}
    def encode(self, predictions, answer): return encode_predictions(predictions, answer)

def app() -> Handler:
    return AlgorithmHandler(LinearLearner())
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

from sagelocal_serve.batching import Batcher, Batching
from sagelocal_serve.errors import BadRequest, ModelError
from sagelocal_serve.interface import ExecutionParameters, Request, Response
from sagelocal_serve.media_type import JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType

log = logging.getLogger("sagelocal_serve")

Model = TypeVar("Model")
Data = TypeVar("Data")
Predictions = TypeVar("Predictions")


class Algorithm(ABC, Generic[Model, Data, Predictions]):
    """What one algorithm family has to say about its inference."""

    #: Canonical media types it can answer in, the default first.
    offers: ClassVar[tuple[str, ...]] = (JSON, JSON_LINES, RECORDIO_PROTOBUF)

    #: The answer to an empty body: 400 with a reason, or 204 with nothing (as XGBoost's does).
    empty_body_status: ClassVar[Literal[204, 400]] = 400

    #: Whether the loaded model survives a fork, so that workers share its memory.
    shares_memory: ClassVar[bool] = True

    @abstractmethod
    def load(self, model_dir: Path) -> Model:
        """Read the artifact that training left; called once."""

    @abstractmethod
    def decode(self, model: Model, request: Request) -> Data:
        """The request's body as the model's input; raises BadRequest or UnsupportedMediaType."""

    @abstractmethod
    def predict(self, model: Model, data: Data) -> Predictions:
        """The model's answer."""

    @abstractmethod
    def encode(self, predictions: Predictions, answer: MediaType) -> bytes | Iterable[bytes]:
        """The answer in the negotiated format; `answer.canonical` is one of `offers`.

        What comes as an iterable is streamed, each piece as soon as it is there.
        """

    #: How many requests become one prediction; for models that gain by it (see `batching`).
    batching: ClassVar[Batching] = Batching()

    def join(self, parts: list[Data]) -> Data:
        """The data of several requests as those of one; raises what keeps them apart."""
        raise NotImplementedError(f"{type(self).__name__} does not join requests")

    def split(self, predictions: Predictions, parts: list[Data]) -> list[Predictions]:
        """The part of the predictions that belongs to each of the requests that were joined."""
        raise NotImplementedError(f"{type(self).__name__} does not split predictions")

    def execution_parameters(self) -> ExecutionParameters | None:
        """What batch transform should know; None leaves it to the service's defaults."""
        return None


class AlgorithmHandler(Generic[Model, Data, Predictions]):
    """Runs an Algorithm as a Handler."""

    def __init__(self, algorithm: Algorithm[Model, Data, Predictions]) -> None:
        self._algorithm = algorithm
        self._loaded: list[Model] = []
        self.use_batching(algorithm.batching)

    @property
    def shares_memory(self) -> bool:
        return self._algorithm.shares_memory

    @property
    def batching(self) -> Batching:
        """How requests are joined."""
        return self._batching

    def use_batching(self, batching: Batching) -> None:
        """Join requests in another way than the algorithm asks for; before the first request."""
        self._batching = batching
        joins = type(self._algorithm).join is not Algorithm.join
        if batching.max_batch_size > 1 and not joins:
            log.warning("%s does not join requests", type(self._algorithm).__name__)
            self._batching = Batching()
        self._batcher = Batcher(self._predict_all, self._batching)

    def prepare(self, model_dir: Path) -> None:
        """An algorithm has nothing to do before its model is read."""

    def load(self, model_dir: Path) -> None:
        self._loaded[:] = [self._algorithm.load(model_dir)]

    def handle(self, request: Request) -> Response:
        if not self._loaded:
            raise ModelError("No model is loaded.")
        algorithm, model = self._algorithm, self._loaded[0]
        if not request.body:
            return self._answer_to_nothing()
        data = algorithm.decode(model, request)
        answer = request.negotiate(algorithm.offers)
        if self._batching.max_batch_size > 1:
            predictions = self._batcher.predict(data)
        else:
            predictions = algorithm.predict(model, data)
        return Response(algorithm.encode(predictions, answer), answer)

    def execution_parameters(self) -> ExecutionParameters | None:
        return self._algorithm.execution_parameters()

    def _predict_all(self, parts: list[Data]) -> list[Predictions]:
        algorithm, model = self._algorithm, self._loaded[0]
        if len(parts) == 1:
            return [algorithm.predict(model, parts[0])]
        return algorithm.split(algorithm.predict(model, algorithm.join(parts)), parts)

    def _answer_to_nothing(self) -> Response:
        if self._algorithm.empty_body_status == 204:
            return Response(b"", status=204)
        raise BadRequest("The request has an empty body: send at least one record.")

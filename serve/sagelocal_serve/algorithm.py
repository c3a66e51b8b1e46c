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

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

from sagelocal_serve.errors import BadRequest, ModelError
from sagelocal_serve.interface import ExecutionParameters, Request, Response
from sagelocal_serve.media_type import JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType

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
    def encode(self, predictions: Predictions, answer: MediaType) -> bytes:
        """The answer in the negotiated format; `answer.canonical` is one of `offers`."""

    def execution_parameters(self) -> ExecutionParameters | None:
        """What batch transform should know; None leaves it to the service's defaults."""
        return None


class AlgorithmHandler(Generic[Model, Data, Predictions]):
    """Runs an Algorithm as a Handler."""

    def __init__(self, algorithm: Algorithm[Model, Data, Predictions]) -> None:
        self._algorithm = algorithm
        self._loaded: list[Model] = []

    @property
    def shares_memory(self) -> bool:
        return self._algorithm.shares_memory

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
        return Response(algorithm.encode(algorithm.predict(model, data), answer), answer)

    def execution_parameters(self) -> ExecutionParameters | None:
        return self._algorithm.execution_parameters()

    def _answer_to_nothing(self) -> Response:
        if self._algorithm.empty_body_status == 204:
            return Response(b"", status=204)
        raise BadRequest("The request has an empty body: send at least one record.")

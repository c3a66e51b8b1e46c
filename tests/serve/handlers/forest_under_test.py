"""A model that takes nearly as long for one row as for many, so that it gains by batching."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sagelocal_serve import Algorithm, AlgorithmHandler, Handler, MediaType, Request, Response
from sagelocal_serve.batching import Batching
from sagelocal_serve.codecs.batches import join_rows, split_rows
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier


class Forest(Algorithm[Any, Any, Any]):
    """Species of irises."""

    offers = ("application/json",)
    batching = Batching(max_batch_size=16)

    def __init__(self) -> None:
        self.calls = 0

    def load(self, model_dir: Path) -> Any:
        rows, labels = load_iris(return_X_y=True)
        return RandomForestClassifier(20, random_state=0).fit(rows, labels)

    def decode(self, model: Any, request: Request) -> Any:
        return np.array([request.body.split(b",")], float)

    def predict(self, model: Any, data: Any) -> Any:
        self.calls += 1
        return model.predict_proba(data)

    def encode(self, predictions: Any, answer: MediaType) -> bytes:
        return json.dumps(predictions[0].tolist()).encode()

    def join(self, parts: list[Any]) -> Any:
        return join_rows(parts)

    def split(self, predictions: Any, parts: list[Any]) -> list[Any]:
        return split_rows(predictions, [len(part) for part in parts])


class CountedForest(AlgorithmHandler[Any, Any, Any]):
    """Tells how often the model was asked."""

    def __init__(self) -> None:
        self._forest = Forest()
        super().__init__(self._forest)

    def handle(self, request: Request) -> Response:
        if request.body == b"calls":
            return Response(b"%d" % self._forest.calls)
        return super().handle(request)


def app() -> Handler:
    return CountedForest()

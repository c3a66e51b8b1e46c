"""A saved model, served as it is: no script, the notebook's numbers, the columns' names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sagelocal_serve import Algorithm, BadRequest, MediaType, ModelError, Request
from sagelocal_serve.charset import decode_text
from sagelocal_serve.codecs import defaults
from sagelocal_serve.errors import describe
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, NPY

from sagelocal_scikit_learn import models, predictions, tables
from sagelocal_scikit_learn.features import Expected
from sagelocal_scikit_learn.versions import VersionWatch


@dataclass(frozen=True)
class Loaded:
    """A model, the method to call, and the features that it expects."""

    model: Any
    method: str
    expected: Expected


@dataclass(frozen=True)
class Features:
    """What the model is given; `doubt` is what to say of it if the model refuses."""

    values: Any
    doubt: BadRequest | None = None


class SavedModel(Algorithm[Loaded, Features, Any]):
    """Loads the only model of the archive and calls its `predict`, or what the setting says."""

    offers: ClassVar[tuple[str, ...]] = (JSON, CSV, NPY, JSON_LINES)

    def __init__(self, versions: VersionWatch) -> None:
        self._versions = versions

    def load(self, model_dir: Path) -> Loaded:
        model = models.load(str(model_dir))
        return Loaded(model, predictions.method_of(model), Expected.by(model))

    def decode(self, model: Loaded, request: Request) -> Features:
        expected = model.expected
        try:
            table = tables.read(request.body, request.content_type, expected.names)
        except BadRequest as error:
            # Rows of text are for a model that was fitted with an array of it.
            if expected.names or request.content_type.canonical != CSV:
                raise
            text = tables.text_rows(decode_text(request.body, request.content_type))
            return Features(expected.arrange(text), doubt=error)
        return Features(expected.arrange(table))

    def predict(self, model: Loaded, data: Features) -> Any:
        try:
            return predictions.predict(model.model, model.method, data.values)
        except BadRequest as error:
            raise (data.doubt or error) from error
        except (AttributeError, TypeError) as error:
            if hint := self._versions.hint():
                raise ModelError(f"The model failed. {describe(error)}.{hint}") from error
            raise

    def encode(self, predictions: Any, answer: MediaType) -> bytes | Iterator[bytes]:
        return defaults.output_fn(predictions, str(answer))[0]

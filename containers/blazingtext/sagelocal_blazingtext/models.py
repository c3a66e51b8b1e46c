"""The artifact as something to ask: a classifier of texts, or vectors of words.

What is found first is served: `model.bin`, `vectors.bin`, `vectors.txt`, or the only file that is a
fastText model by its first bytes, whatever its name (`lid.176.ftz`). The original's `vectors.bin`
has a form of its own; where it cannot be read, `vectors.txt` beside it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fasttext
import fasttext_pybind

from sagelocal_blazingtext.artifact import MODEL, VECTORS_BINARY, VECTORS_TEXT
from sagelocal_blazingtext.queries import Query
from sagelocal_blazingtext.word_vectors import VectorsError, WordVectors, read_binary, read_text

log = logging.getLogger("sagelocal_blazingtext")

# fasttext.cc: FASTTEXT_FILEFORMAT_MAGIC_INT32 = 793712314, as its file begins.
FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")


class LoadError(Exception):
    """A model folder that cannot be served: says what is there and what is missing."""


class Answering(Protocol):
    """A model that is loaded."""

    def answers(self, queries: Sequence[Query]) -> list[dict[str, Any]]:
        """One object of JSON for each query."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """fastText's labels for texts."""

    model: Any

    def answers(self, queries: Sequence[Query]) -> list[dict[str, Any]]:
        """`{"label": ["__label__1"], "prob": [0.99]}`, the likeliest first."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> dict[str, Any]:
        labels, shares = self.model.predict(query.text, k=query.k)
        # fastText adds a little to every probability before its logarithm is taken.
        return {"label": list(labels), "prob": [min(float(share), 1.0) for share in shares]}


@dataclass(frozen=True, slots=True)
class SubwordVectors:
    """fastText's vectors, which unknown words get from their n-grams."""

    model: Any

    def answers(self, queries: Sequence[Query]) -> list[dict[str, Any]]:
        """`{"vector": [...], "word": "..."}`."""
        return [
            {"vector": self.model.get_word_vector(query.text).tolist(), "word": query.text}
            for query in queries
        ]


class KnownVectors:
    """Vectors of known words; an unknown one has zeros."""

    def __init__(self, vectors: WordVectors) -> None:
        self._matrix = vectors.matrix
        self._places = {word: place for place, word in enumerate(vectors.words)}
        self._zeros = [0.0] * vectors.dimensions

    def answers(self, queries: Sequence[Query]) -> list[dict[str, Any]]:
        """`{"vector": [...], "word": "..."}`."""
        return [{"vector": self._vector(query.text), "word": query.text} for query in queries]

    def _vector(self, word: str) -> list[float]:
        place = self._places.get(word)
        if place is None:
            return self._zeros
        found: list[float] = self._matrix[place].tolist()
        return found


def load(folder: Path) -> Answering:
    """The model of a model folder; raises LoadError."""
    files = {path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}
    if MODEL in files:
        return _of_fasttext(files[MODEL])
    if VECTORS_BINARY in files:
        return _of_vectors(files[VECTORS_BINARY], files.get(VECTORS_TEXT))
    if VECTORS_TEXT in files:
        return KnownVectors(_read(read_text, files[VECTORS_TEXT]))
    models = [path for path in files.values() if _is_fasttext(path)]
    if len(models) == 1:
        return _of_fasttext(models[0])
    raise LoadError(
        f"The model folder has no {MODEL}, {VECTORS_BINARY} or {VECTORS_TEXT}, and "
        f"{len(models)} other fastText models where one is needed; it holds "
        f"{', '.join(files) or 'nothing'}"
    )


def _of_vectors(binary: Path, text: Path | None) -> Answering:
    if _is_fasttext(binary):
        return _of_fasttext(binary)
    try:
        return KnownVectors(read_binary(binary))
    except VectorsError as error:
        if text is None:
            raise LoadError(f"{error}, and there is no {VECTORS_TEXT} to read instead") from error
        log.info("%s; %s is read instead", error, text.name)
        return KnownVectors(_read(read_text, text))


def _of_fasttext(path: Path) -> Answering:
    if not _is_fasttext(path):
        raise LoadError(f"{path.name} is no fastText model: it begins with other bytes")
    try:
        model = fasttext.load_model(str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise LoadError(f"{path.name} cannot be read by fastText: {error}") from error
    if model.f.getArgs().model == fasttext_pybind.model_name.supervised:
        return Classifier(model)
    return SubwordVectors(model)


def _read(reader: Any, path: Path) -> WordVectors:
    try:
        vectors: WordVectors = reader(path)
    except VectorsError as error:
        raise LoadError(str(error)) from error
    return vectors


def _is_fasttext(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(FASTTEXT_MAGIC)) == FASTTEXT_MAGIC

"""The files of the model folder, by the original's names.

supervised            model.bin      fastText's own: both it and the original load it
word vectors          vectors.txt    for Gensim, spaCy and people
                      vectors.bin    for hosting: word2vec's binary form; with subwords,
                                     fastText's, which has vectors for unknown words too
                      eval.json      how well they agree with people, unless that is not wanted
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagelocal_blazingtext import library
from sagelocal_blazingtext.word_vectors import WordVectors, write_binary, write_text

MODEL = "model.bin"
VECTORS_TEXT = "vectors.txt"
VECTORS_BINARY = "vectors.bin"
EVALUATION = "eval.json"


def save_classifier(model: library.Model, folder: Path) -> None:
    """Write model.bin."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_model(str(folder / MODEL))


def save_vectors(vectors: WordVectors, folder: Path, subwords: library.Model | None = None) -> None:
    """Write vectors.txt and vectors.bin; a model with subwords becomes the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(vectors, folder / VECTORS_TEXT)
    if subwords is None:
        write_binary(vectors, folder / VECTORS_BINARY)
    else:
        subwords.save_model(str(folder / VECTORS_BINARY))


def save_evaluation(document: Mapping[str, Any], folder: Path) -> str:
    """Write eval.json; its text."""
    text = json.dumps(document, indent=4)
    (folder / EVALUATION).write_text(text + "\n")
    return text

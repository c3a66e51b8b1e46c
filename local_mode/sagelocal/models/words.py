"""BlazingText's models: fastText's binary file, and vectors of words in word2vec's two forms.

Sources: `FastText::saveModel`, `Args::save`, `Dictionary::save` and `DenseMatrix::save` of fastText
0.9; word2vec.c's output, as Gensim reads it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sagelocal.models.errors import ModelError
from sagelocal.models.model import Numbers, Unread

FASTTEXT_MAGIC = struct.pack("<i", 793712314)
_ARGUMENTS = struct.Struct("<12id")
_DICTIONARY = struct.Struct("<3i2q")
_MODES = {1: "cbow", 2: "skipgram", 3: "supervised"}
_LOSSES = {1: "hierarchical softmax", 2: "negative sampling", 3: "softmax", 4: "one-vs-all"}
_MOST_SHOWN = 20
_LONGEST_WORD = 1 << 16


@dataclass(frozen=True)
class Words:
    """What a file says."""

    facts: Mapping[str, Any]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Numbers | Unread] = field(default_factory=dict)


def read_fasttext(path: Path) -> Words:
    """A model.bin; raises ModelError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _fasttext(data)
    except (struct.error, ValueError, IndexError) as error:
        raise ModelError(f"{path.name} is no whole fastText model: {error}") from error


def _fasttext(data: mmap.mmap) -> Words:
    version = struct.unpack_from("<i", data, 4)[0]
    values = _ARGUMENTS.unpack_from(data, 8)
    dim, ws, epoch, min_count, neg, ngrams, loss, model, bucket, minn, maxn, _, t = values
    position = 8 + _ARGUMENTS.size
    size, words, labels, tokens, pruned = _DICTIONARY.unpack_from(data, position)
    position += _DICTIONARY.size
    first: dict[int, list[str]] = {0: [], 1: []}
    for _ in range(size):
        end = data.find(b"\0", position, position + _LONGEST_WORD)
        if end < 0:
            raise ValueError("its dictionary breaks off")
        kind = data[end + 9]
        if kind in first and len(first[kind]) < _MOST_SHOWN:
            first[kind].append(data[position:end].decode(errors="replace"))
        position = end + 10
    position += 8 * max(pruned, 0)
    facts = {
        "mode": _MODES.get(model, str(model)),
        "loss": _LOSSES.get(loss, str(loss)),
        "words": words,
        "labels": labels,
        "tokens_seen": tokens,
        "dimensions": dim,
        "first_words": first[0],
        **({"first_labels": first[1]} if labels else {}),
        "fasttext_file_version": version,
    }
    told = {
        "vector_dim": dim,
        "window_size": ws,
        "epochs": epoch,
        "min_count": min_count,
        "negative_samples": neg,
        "word_ngrams": ngrams,
        "buckets": bucket,
        "min_char": minn,
        "max_char": maxn,
        "sampling_threshold": t,
    }
    return Words(facts, told, _matrices(data, position, words + bucket, dim))


def _matrices(data: mmap.mmap, position: int, rows: int, dim: int) -> dict[str, Numbers | Unread]:
    found: dict[str, Numbers | Unread] = {}
    for name in ("input", "output"):
        is_quantized = data[position]
        position += 1
        if is_quantized:
            left = len(data) - position
            found[name] = Unread((rows, dim), "quantized", left, "fastText quantized it")
            break
        m, n = struct.unpack_from("<qq", data, position)
        position += 16
        if m < 0 or n < 0 or position + 4 * m * n > len(data):
            raise ValueError(f"the matrix {name!r} of {m} x {n} numbers breaks off")
        numbers = np.frombuffer(data, "<f4", m * n, position).reshape(m, n)
        found[name] = numbers.copy()
        del numbers  # The file cannot be closed as long as it is looked at.
        position += 4 * m * n
    return found


def read_vectors(path: Path) -> Words:
    """A vectors.txt or word2vec's vectors.bin; raises ModelError."""
    with path.open("rb") as file:
        head = file.readline(100).split()
        if len(head) != 2 or not all(number.isdigit() for number in head):
            raise ModelError(f"{path.name} does not begin with the numbers of words and dimensions")
        count, dim = int(head[0]), int(head[1])
        if 2 * count * dim > path.stat().st_size:
            raise ModelError(f"{path.name} is too short for {count} words of {dim} numbers")
        content = file.read()
    matrix = np.empty((count, dim), np.float32)
    words: list[str] = []
    read = _text_rows if path.suffix == ".txt" else _binary_rows
    try:
        read(content, matrix, words)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path.name} holds no such vectors: {error}") from error
    facts = {"words": count, "dimensions": dim, "first_words": words[:_MOST_SHOWN]}
    return Words(facts, {}, {"vectors": matrix})


def _text_rows(content: bytes, matrix: Numbers, words: list[str]) -> None:
    for row, line in enumerate(content.splitlines()):
        word, *values = line.rstrip().split(b" ")
        matrix[row] = np.array(values, dtype=np.float32)
        words.append(word.decode(errors="replace"))
    if len(words) != len(matrix):
        raise ValueError(f"it ends after {len(words)} of {len(matrix)} words")


def _binary_rows(content: bytes, matrix: Numbers, words: list[str]) -> None:
    position, size = 0, 4 * matrix.shape[1]
    for row in range(len(matrix)):
        space = content.find(b" ", position, position + _LONGEST_WORD)
        if space < 0 or space + 1 + size > len(content):
            raise ValueError(f"it ends after {row} of {len(matrix)} words")
        words.append(content[position:space].lstrip(b"\n").decode(errors="replace"))
        matrix[row] = np.frombuffer(content, "<f4", matrix.shape[1], space + 1)
        position = space + 1 + size

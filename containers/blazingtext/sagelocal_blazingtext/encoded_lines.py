"""Labelled lines as fastText sees them: rows of its input matrix, and numbers of labels.

A line's features are its words (fastText adds `</s>` at the end), and the sequences of up to
`word_ngrams` words, hashed to one of the buckets that lie behind the words in the input matrix.
Source: fastText's dictionary.cc, `getLine` and `addWordNgrams`; a test compares line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagelocal_blazingtext import library
from sagelocal_blazingtext.corpus import LABEL, whole_lines

_END_OF_LINE = library.END_OF_LINE.encode()
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619
_NGRAM_FACTOR = np.uint64(116049371)


@dataclass(frozen=True, slots=True)
class EncodedLines:
    """Lines that have a label and a feature. Line i has the features starts[i] to starts[i + 1]."""

    features: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: list[Sequence[int]]

    def __len__(self) -> int:
        return len(self.labels)


def encode(path: Path, model: library.Model, word_ngrams: int, buckets: int) -> EncodedLines:
    """All lines of a labelled text."""
    words, labels = model.get_words(), model.get_labels()
    vocabulary = _Vocabulary({word.encode(): row for row, word in enumerate(words)}, len(words))
    label_numbers = {label.encode(): number for number, label in enumerate(labels)}
    features: list[NDArray[np.int32]] = []
    lengths: list[NDArray[np.int64]] = []
    found: list[Sequence[int]] = []
    with path.open("rb") as stream:
        for chunk in whole_lines(stream):
            split = [line.split() for line in chunk.split(b"\n") if line.strip()]
            rows, counts = vocabulary.features(split, word_ngrams, buckets)
            of_lines = [
                [label_numbers[word] for word in line if word in label_numbers] for line in split
            ]
            used = [
                bool(count) and bool(those) for count, those in zip(counts, of_lines, strict=True)
            ]
            features.append(rows[np.repeat(used, counts)])
            lengths.append(counts[used])
            found += [those for those, is_used in zip(of_lines, used, strict=True) if is_used]
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return EncodedLines(np.concatenate(features), starts, found)


def hash_of(word: bytes) -> int:
    """fastText's hash, FNV-1a of 32 bits over signed bytes, as a signed number."""
    value = _FNV_OFFSET
    for byte in word:
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * _FNV_PRIME & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


class _Vocabulary:
    """Words to rows and hashes; those of a word are computed once."""

    def __init__(self, rows: dict[bytes, int], size: int) -> None:
        self._rows = rows
        self._size = size
        self._hashes: dict[bytes, int] = {}

    def features(
        self, lines: Sequence[Sequence[bytes]], word_ngrams: int, buckets: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The features of all lines one after the other, and how many each line has."""
        words = [
            [*(word for word in line if not word.startswith(LABEL)), _END_OF_LINE] for line in lines
        ]
        flat = [word for line in words for word in line]
        owners = np.repeat(np.arange(len(lines)), [len(line) for line in words])
        rows = np.array([self._rows.get(word, -1) for word in flat], np.int64)
        known = rows >= 0
        parts, parts_owners = [rows[known]], [owners[known]]
        hashes = np.array([self._hash(word) for word in flat], np.int64).astype(np.uint64)
        combined = hashes
        for reach in range(1, word_ngrams):
            combined = combined[: len(hashes) - reach] * _NGRAM_FACTOR + hashes[reach:]
            within = owners[: len(owners) - reach] == owners[reach:]
            bucket = (combined[within] % np.uint64(buckets)).astype(np.int64)
            parts.append(self._size + bucket)
            parts_owners.append(owners[: len(owners) - reach][within])
        belongs = np.concatenate(parts_owners)
        order = np.argsort(belongs, kind="stable")
        found = np.concatenate(parts)[order].astype(np.int32)
        return found, np.bincount(belongs, minlength=len(lines)).astype(np.int64)

    def _hash(self, word: bytes) -> int:
        known = self._hashes.get(word)
        if known is None:
            known = self._hashes[word] = hash_of(word)
        return known

"""Words and their vectors, and the two files of word2vec that everybody reads.

    vectors.txt    "COUNT DIMENSIONS", then "word 0.1 -0.2 ..." to a line, the most frequent first
    vectors.bin    the same first line, then the word, a space, 32-bit little-endian floats, newline

Gensim reads both (`KeyedVectors.load_word2vec_format`), spaCy the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_LONGEST_WORD = 1 << 20


class VectorsError(Exception):
    """A file of vectors that cannot be read: says which, where and why."""


@dataclass(frozen=True, slots=True)
class WordVectors:
    """`matrix` has a row for each of the words (float32)."""

    words: list[str]
    matrix: Floats

    @property
    def dimensions(self) -> int:
        return int(self.matrix.shape[1])


def write_text(vectors: WordVectors, path: Path) -> None:
    """Write vectors.txt: six significant digits."""
    row = " ".join(["%.6g"] * vectors.dimensions)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(f"{len(vectors.words)} {vectors.dimensions}\n")
        for word, vector in zip(vectors.words, vectors.matrix, strict=True):
            out.write(f"{word} {row % tuple(vector.tolist())}\n")


def write_binary(vectors: WordVectors, path: Path) -> None:
    """Write vectors.bin."""
    matrix = vectors.matrix.astype("<f4")
    with path.open("wb") as out:
        out.write(f"{len(vectors.words)} {vectors.dimensions}\n".encode())
        for word, vector in zip(vectors.words, matrix, strict=True):
            out.write(word.encode() + b" " + vector.tobytes() + b"\n")


def read_text(path: Path) -> WordVectors:
    """Read vectors.txt; raises VectorsError with the line."""
    with path.open("rb") as stream:
        count, dimensions = _first_line(stream, path)
        matrix = np.empty((count, dimensions), np.float32)
        words: list[str] = []
        for number, line in enumerate(stream, 2):
            word, *values = line.rstrip().split(b" ")
            if len(words) == count or len(values) != dimensions:
                raise VectorsError(
                    f"{path.name}, line {number} does not hold one of {count} words and "
                    f"{dimensions} numbers"
                )
            try:
                matrix[len(words)] = np.array(values, dtype=np.float32)
            except ValueError as error:
                raise VectorsError(f"{path.name}, line {number}: {error}") from error
            words.append(word.decode(errors="replace"))
    if len(words) != count:
        raise VectorsError(f"{path.name} ends after {len(words)} of {count} words")
    return WordVectors(words, matrix)


def read_binary(path: Path) -> WordVectors:
    """Read vectors.bin of word2vec; raises VectorsError."""
    content = path.read_bytes()
    with path.open("rb") as stream:
        count, dimensions = _first_line(stream, path)
        position = stream.tell()
    size = 4 * dimensions
    matrix = np.empty((count, dimensions), np.float32)
    words: list[str] = []
    for row in range(count):
        space = content.find(b" ", position, position + _LONGEST_WORD)
        if space < 0 or space + 1 + size > len(content):
            raise VectorsError(f"{path.name} ends after {row} of {count} words")
        words.append(content[position:space].lstrip(b"\n").decode(errors="replace"))
        matrix[row] = np.frombuffer(content, "<f4", dimensions, space + 1)
        position = space + 1 + size
    return WordVectors(words, matrix)


def _first_line(stream: BinaryIO, path: Path) -> tuple[int, int]:
    line = stream.readline(100)
    numbers = line.split()
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise VectorsError(
            f"{path.name} begins with {line[:40]!r} instead of the numbers of words and dimensions"
        )
    count, dimensions = int(numbers[0]), int(numbers[1])
    # Each number takes at least two bytes: memory is not reserved for what cannot be there.
    if 2 * count * dimensions > path.stat().st_size:
        raise VectorsError(f"{path.name} is too short for {count} words of {dimensions} numbers")
    return count, dimensions

"""Words and how often they occur, and texts as numbers of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.errors import UserError

END_OF_SENTENCE = -1
"""What stands between two sentences in an encoded text."""

_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that are frequent enough, the most frequent first."""

    words: list[bytes]
    counts: NDArray[np.int64]

    @staticmethod
    def of(counted: Mapping[bytes, int], min_count: int) -> Vocabulary:
        """What occurs `min_count` times or more; words of one frequency in alphabetical order.

        Raises UserError where that is nothing.
        """
        kept = [(word, count) for word, count in counted.items() if count >= max(min_count, 1)]
        if not kept:
            raise no_words(min_count)
        kept.sort(key=lambda entry: (-entry[1], entry[0]))
        counts = np.array([count for _, count in kept], np.int64)
        return Vocabulary([word for word, _ in kept], counts)

    def __len__(self) -> int:
        return len(self.words)

    def kept_shares(self, threshold: float) -> NDArray[np.float32]:
        """How likely an occurrence of each word is used: frequent words are thinned out.

        sqrt(t/f) + t/f for a word of frequency f, as word2vec has it (Mikolov et al., 2013).
        """
        ratio = threshold / (self.counts / self.counts.sum())
        shares: NDArray[np.float32] = np.minimum(1.0, np.sqrt(ratio) + ratio).astype(np.float32)
        return shares

    def negatives(self, size: int) -> NDArray[np.int32]:
        """A table to draw negative samples from: each word by its frequency to the power of 3/4."""
        weights = self.counts**0.75
        places = np.maximum(1, np.round(weights / weights.sum() * size)).astype(np.int64)
        return np.repeat(np.arange(len(self), dtype=np.int32), places)


def no_words(min_count: int) -> UserError:
    """What to say where the vocabulary is empty."""
    return UserError(
        f"No word of the channel 'train' occurs {min_count} times or more, as 'min_count' asks "
        "for: lower min_count, or give more text"
    )


def count_words(path: Path) -> Counter[bytes]:
    """How often each word occurs; words are what stands between white space of ASCII."""
    counted: Counter[bytes] = Counter()
    for chunk in _chunks(path):
        counted.update(chunk.split())
    return counted


def encode(path: Path, vocabulary: Vocabulary) -> NDArray[np.int32]:
    """The words of a text by their places in the vocabulary, others left out.

    END_OF_SENTENCE stands at the end of every line.
    """
    places = {word: place for place, word in enumerate(vocabulary.words)}
    parts = []
    for chunk in _chunks(path):
        found: list[int] = []
        for line in chunk.split(b"\n"):
            found += [places[word] for word in line.split() if word in places]
            found.append(END_OF_SENTENCE)
        # The chunk's last line goes on in the next one, or ends with the text.
        parts.append(np.array(found[:-1], np.int32))
    return np.concatenate([*parts, np.array([END_OF_SENTENCE], np.int32)])


def _chunks(path: Path) -> Iterator[bytes]:
    """The file in parts that end between two words."""
    rest = b""
    with path.open("rb") as stream:
        while part := stream.read(_CHUNK_BYTES):
            end = max(part.rfind(b" "), part.rfind(b"\n")) + 1
            if not end:
                rest += part
                continue
            yield rest + part[:end]
            rest = part[end:]
    if rest:
        yield rest

"""Skip-gram with negative sampling as matrix products: the steps of a few thousand words at once.

The words are cut into blocks of `width` centres. A block is trained against the words around it
(its own and `window` more on each side) by one product, and against negative samples that all its
centres share by another:

    scores    = centres @ neighbours.T        (width x (width + 2 window)), all but a band masked
    negatives = centres @ shared.T            (width x samples)

This is what BlazingText does in its mode batch_skipgram: Gupta and Khare, "BlazingText: Scaling and
Accelerating Word2Vec using Multiple GPUs" (2017), after Ji et al., "Parallelizing Word2Vec in
Shared and Distributed Memory" (2016): sharing turns vector products into matrix products. Here a
block has several centres instead of one, since one call of numpy costs as much as a product.

The weight of a shared sample makes up for their number: a pair of words counts `negative_samples`
samples, and a sample that is one of the pair's own words does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from sagelocal_blazingtext.scatter import add_rows

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)

WIDEST_BLOCK = 64
"""Of a wider block most pairs are too far apart, and their products are thrown away."""

SHARED_SAMPLES = 16
"""Negative samples of a block, where its pairs are not to have more."""

MOST_CURVATURE = 4.0
"""Learning rate times pairs that may move a row together; from about 16 on training diverges."""

_NO_SENTENCE = -1


@dataclass(frozen=True, slots=True)
class Shape:
    """How blocks are cut: centres, neighbours on each side, negative samples, and per pair."""

    width: int
    window: int
    samples: int
    samples_per_pair: int

    @staticmethod
    def of(batch_size: int, window: int, negative_samples: int) -> Shape:
        width = min(batch_size, WIDEST_BLOCK)
        samples = max(SHARED_SAMPLES, negative_samples)
        return Shape(width, window, samples, negative_samples)

    @property
    def span(self) -> int:
        """Words that a block looks at."""
        return self.width + 2 * self.window

    @property
    def distances(self) -> NDArray[np.int64]:
        """From each centre to each word of the block; larger than any window for itself."""
        centres = self.window + np.arange(self.width)[:, None]
        found: NDArray[np.int64] = np.abs(np.arange(self.span) - centres)
        found[found == 0] = self.window + 1
        return found


@dataclass(frozen=True, slots=True)
class Parameters:
    """The vectors of words as centres (which are the result) and as neighbours."""

    centres: Floats
    neighbours: Floats

    @staticmethod
    def begin(words: int, dimensions: int, random: np.random.Generator) -> Parameters:
        """Small random centres, and neighbours of zero, as word2vec begins."""
        centres = (random.random((words, dimensions), np.float32) - np.float32(0.5)) / dimensions
        return Parameters(centres.astype(np.float32), np.zeros((words, dimensions), np.float32))


class BlockTrainer:
    """Trains parameters on runs of words. Several may do so at once, each in a thread."""

    def __init__(
        self,
        parameters: Parameters,
        shape: Shape,
        negatives: NDArray[np.int32],
        random: np.random.Generator,
    ) -> None:
        self._parameters = parameters
        self._shape = shape
        self._negatives = negatives
        self._random = random
        self._distances = shape.distances

    def train(self, words: Places, sentences: Places, rate: float) -> None:
        """One step on consecutive words; only words of one sentence are neighbours."""
        shape, parameters = self._shape, self._parameters
        count, window, width = len(words), shape.window, shape.width
        blocks = -(-count // width)
        size = blocks * width
        padded = np.zeros(size + 2 * window, np.int64)
        padded[window : window + count] = words
        located = np.full(size + 2 * window, _NO_SENTENCE, np.int64)
        located[window : window + count] = sentences

        centres = parameters.centres[padded[window : window + size]].reshape(blocks, width, -1)
        around = _overlapping(parameters.neighbours[padded], blocks, shape)
        drawn = self._random.integers(0, len(self._negatives), (blocks, shape.samples))
        sampled = self._negatives[drawn].astype(np.int64)
        shared = parameters.neighbours[sampled]

        pairs = self._pairs(_overlapping(located, blocks, shape))
        rest = self._pairs_without(pairs, _overlapping(padded, blocks, shape), sampled)
        # What moves a score up is 1 - sigmoid of a pair's, down the sigmoid of a sample's.
        up: Floats = pairs * _sigmoid(-(centres @ around.transpose(0, 2, 1)))
        up *= np.float32(rate)
        down: Floats = rest * _sigmoid(centres @ shared.transpose(0, 2, 1))
        down *= np.float32(-rate)

        to_centres: Floats = up @ around + down @ shared
        to_around = _summed(up.transpose(0, 2, 1) @ centres, shape)[window : window + count]
        to_shared: Floats = down.transpose(0, 2, 1) @ centres
        most_pairs = MOST_CURVATURE / rate
        moved: Floats = pairs.sum(axis=2).reshape(-1)[:count]
        add_rows(
            parameters.centres,
            words,
            to_centres.reshape(size, -1)[:count],
            moved * np.float32(1 + shape.samples_per_pair),
            most_pairs,
        )
        # A word is as often a neighbour as it has neighbours, but for windows of other sizes.
        add_rows(
            parameters.neighbours,
            np.concatenate([words, sampled.reshape(-1)]),
            np.concatenate([to_around, to_shared.reshape(-1, to_shared.shape[2])]),
            np.concatenate([moved, rest.sum(axis=1).reshape(-1)]),
            most_pairs,
        )

    def _pairs(self, located: Places) -> Floats:
        """1 for each centre and each word of its window and sentence (blocks, width, span)."""
        shape = self._shape
        own = located[:, shape.window : shape.window + shape.width, None]
        # Every centre has a window of its own, up to the largest: near words count more often.
        windows = self._random.integers(1, shape.window + 1, (*own.shape[:2], 1))
        is_near = self._distances <= windows
        is_same_sentence = (located[:, None, :] == own) & (own != _NO_SENTENCE)
        pairs: Floats = (is_near & is_same_sentence).astype(np.float32)
        return pairs

    def _pairs_without(self, pairs: Floats, around: Places, sampled: Places) -> Floats:
        """How much each sample counts for each centre (blocks, width, samples)."""
        shape = self._shape
        same = (around[:, :, None] == sampled[:, None, :]).astype(np.float32)
        counted: Floats = pairs.sum(axis=2, keepdims=True) - pairs @ same
        counted *= np.float32(shape.samples_per_pair / shape.samples)
        return counted


def _overlapping(rows: NDArray[T], blocks: int, shape: Shape) -> NDArray[T]:
    """Each block's span of consecutive rows, as a view: blocks share what lies between them."""
    step = rows.strides[0]
    return as_strided(
        rows, (blocks, shape.span, *rows.shape[1:]), (shape.width * step, *rows.strides)
    )


def _summed(parts: Floats, shape: Shape) -> Floats:
    """The inverse of `_overlapping`: what all blocks have for a row, added up."""
    blocks, span, dimensions = parts.shape
    width = shape.width
    shifts = -(-span // width)
    total = np.zeros(((blocks + shifts - 1) * width, dimensions), np.float32)
    for shift in range(shifts):
        part = parts[:, shift * width : (shift + 1) * width]
        rows = total[shift * width :][: blocks * width].reshape(blocks, width, dimensions)
        rows[:, : part.shape[1]] += part
    return total


def _sigmoid(scores: Floats) -> Floats:
    """Of 32-bit numbers: scores beyond 30 are as good as infinite, and exp would overflow."""
    one = np.float32(1)
    result: Floats = one / (one + np.exp(-np.clip(scores, -30, 30)))
    return result

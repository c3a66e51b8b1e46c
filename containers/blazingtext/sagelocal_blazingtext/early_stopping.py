"""Supervised training that stops when it gets no better.

fastText trains all its epochs in one go, and offers no way to look in between or to go on. So its
vocabulary, its matrices as training begins and its prediction are used, and the epochs are ours:
the same model (the mean of a line's feature vectors, a softmax over labels), the same step for a
line, the same linear fall of the learning rate; lines are shuffled in every epoch, and a few of
them are taken together, so that numpy has something to multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.errors import AlgorithmError
from sagelocal_train.machine import cpu_count

from sagelocal_blazingtext import library
from sagelocal_blazingtext.corpus import Corpus
from sagelocal_blazingtext.encoded_lines import EncodedLines, encode
from sagelocal_blazingtext.progress import Meter, say
from sagelocal_blazingtext.settings import Settings

Floats = NDArray[np.float32]

MOST_LINES_TOGETHER = 16
_SEED = 1


def train(corpus: Corpus, validation: Corpus, settings: Settings) -> library.Model:
    """The model of the epoch with the best accuracy on the validation text."""
    model = library.untrained(corpus, settings)
    library.words_by_frequency(model, settings)
    lines = encode(corpus.path, model, settings.word_ngrams, settings.buckets)
    matrices = Matrices.of(model)
    touched = np.unique(lines.features)
    best = _Best(touched)
    meter = Meter()
    per_epoch = len(lines.features)
    random = np.random.default_rng(_SEED)
    epoch = 0
    for epoch in range(1, settings.epochs + 1):
        _train_epoch(lines, matrices, settings, epoch - 1, random)
        if not np.isfinite(matrices.labels).all():
            raise AlgorithmError(
                "Training diverged: weights are no numbers any more. Lower learning_rate"
            )
        share = epoch / settings.epochs
        meter.at(settings.learning_rate * (1 - share), share, epoch * per_epoch)
        say(f"-------------- End of epoch: {epoch}")
        say(f"Using {cpu_count()} threads for prediction!")
        accuracy = model.test(str(validation.path))[1]
        say(f"Validation accuracy: {accuracy:.6g}")
        if best.offer(matrices, accuracy):
            say("Validation accuracy improved! Storing best weights...")
            continue
        say(f"Validation accuracy has not improved for {best.waited} epochs.")
        if best.waited >= settings.patience and epoch >= settings.min_epochs:
            say(f"Stopped early: the best of {epoch} epochs is kept.")
            break
    best.restore(matrices)
    meter.over(epoch * per_epoch)
    return model


@dataclass(frozen=True, slots=True)
class Matrices:
    """fastText's matrices, not copied: what is written here, the model has."""

    features: Floats
    labels: Floats

    @staticmethod
    def of(model: Any) -> Matrices:
        return Matrices(np.asarray(model.f.getInputMatrix()), np.asarray(model.f.getOutputMatrix()))


@dataclass(slots=True)
class _Best:
    """The best weights so far; of the features only rows that training ever touches."""

    touched: NDArray[np.int32]
    accuracy: float = -1.0
    waited: int = 0
    features: Floats | None = None
    labels: Floats | None = None

    def offer(self, matrices: Matrices, accuracy: float) -> bool:
        """Keep the weights if they are better; whether they were."""
        if accuracy <= self.accuracy:
            self.waited += 1
            return False
        self.accuracy, self.waited = accuracy, 0
        self.features = matrices.features[self.touched]
        self.labels = matrices.labels.copy()
        return True

    def restore(self, matrices: Matrices) -> None:
        if self.features is not None and self.labels is not None:
            matrices.features[self.touched] = self.features
            matrices.labels[:] = self.labels


def _train_epoch(
    lines: EncodedLines,
    matrices: Matrices,
    settings: Settings,
    epoch: int,
    random: np.random.Generator,
) -> None:
    # Steps of lines that are taken together add up: large ones are taken one by one.
    together = max(1, min(MOST_LINES_TOGETHER, int(1 / settings.learning_rate)))
    order = random.permutation(len(lines))
    total = settings.epochs * len(lines)
    for begin in range(0, len(order), together):
        rate = settings.learning_rate * (1 - (epoch * len(lines) + begin) / total)
        chosen = order[begin : begin + together]
        targets = [_one_of(lines.labels[line], random) for line in chosen]
        _step(lines, chosen, np.array(targets), matrices, np.float32(rate))


def _one_of(labels: Any, random: np.random.Generator) -> int:
    """A line of several labels is trained for one of them at a time, as fastText does."""
    return int(labels[0] if len(labels) == 1 else labels[random.integers(len(labels))])


def _step(
    lines: EncodedLines,
    chosen: NDArray[np.int64],
    targets: NDArray[np.int64],
    matrices: Matrices,
    rate: np.float32,
) -> None:
    """One step of gradient descent on the cross entropy of the chosen lines."""
    starts, ends = lines.starts[chosen], lines.starts[chosen + 1]
    lengths = ends - starts
    owners = np.repeat(np.arange(len(chosen)), lengths)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    features = lines.features[np.repeat(starts, lengths) + offsets]
    rows, places = np.unique(features, return_inverse=True)
    # How much of each row is in each line: (lines, rows), narrow enough to be multiplied with.
    weights = np.bincount(
        owners * len(rows) + places, (1 / lengths)[owners], len(chosen) * len(rows)
    )
    mixture = weights.reshape(len(chosen), len(rows)).astype(np.float32)
    hidden = mixture @ matrices.features[rows]
    scores = hidden @ matrices.labels.T
    scores -= scores.max(axis=1, keepdims=True)
    errors = np.exp(scores)
    errors /= -errors.sum(axis=1, keepdims=True)
    errors[np.arange(len(chosen)), targets] += 1
    errors *= rate
    to_hidden = errors @ matrices.labels
    matrices.labels[:] += errors.T @ hidden
    matrices.features[rows] += mixture.T @ to_hidden

"""The mode batch_skipgram: word vectors on all processors, and on all hosts of the job.

The threads of a host train the same matrices without locks (Hogwild: they seldom meet in a row);
numpy leaves Python's lock while it computes. Hosts train matrices of their own on their own part
of the text, and take the mean of them several times in an epoch.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import Group
from sagelocal_train.errors import AlgorithmError
from sagelocal_train.machine import cpu_count

from sagelocal_blazingtext.blocks import BlockTrainer, Floats, Parameters, Shape
from sagelocal_blazingtext.corpus import Corpus
from sagelocal_blazingtext.progress import Meter, say
from sagelocal_blazingtext.settings import Settings
from sagelocal_blazingtext.vocabulary import END_OF_SENTENCE, Vocabulary, count_words, encode
from sagelocal_blazingtext.word_vectors import WordVectors

WORDS_AT_ONCE = 1024
"""Fewer, and numpy's calls cost more than the products; more, and steps are computed too far from
where they are made."""

MEANS_PER_EPOCH = 4
_NEGATIVES = 1 << 21
_LEAST_RATE_SHARE = 1e-4
_SEED = 1


def train(corpus: Corpus, settings: Settings, hosts: Group, is_sharded: bool) -> WordVectors:
    """The vectors of the text's words, the most frequent first; the same on all hosts.

    `is_sharded` says that every host has a text of its own; otherwise all have the same.
    Raises UserError where no word is frequent enough, AlgorithmError if training diverges.
    """
    counted = count_words(corpus.path)
    if is_sharded and hosts.size > 1:
        counted = _everyones(counted, hosts)
    say(f"Read {sum(counted.values()) // 1_000_000}M words")
    vocabulary = Vocabulary.of(counted, settings.min_count)
    say(f"Number of words:  {len(vocabulary)}")
    words = encode(corpus.path, vocabulary)
    if not is_sharded:
        words = _share(words, _number_of(hosts), hosts.size)
    vectors = _Training(vocabulary, words, settings, hosts).run()
    if not np.isfinite(vectors).all():
        raise AlgorithmError(
            "Training diverged: vectors are no numbers any more. Lower learning_rate"
        )
    return WordVectors([word.decode() for word in vocabulary.words], vectors)


@dataclass(slots=True)
class _Training:
    """One host's part of the job."""

    vocabulary: Vocabulary
    words: NDArray[np.int32]
    settings: Settings
    hosts: Group
    meter: Meter = field(default_factory=Meter)
    _read: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Floats:
        """Train all epochs; the vectors."""
        settings = self.settings
        # All hosts begin with the same matrices; what they draw afterwards is their own.
        parameters = Parameters.begin(
            len(self.vocabulary), settings.vector_dim, np.random.default_rng(_SEED)
        )
        shape = Shape.of(settings.batch_size, settings.window_size, settings.negative_samples)
        negatives = self.vocabulary.negatives(max(_NEGATIVES, 4 * len(self.vocabulary)))
        streams = np.random.SeedSequence([_SEED, _number_of(self.hosts)]).spawn(cpu_count())
        randoms = [np.random.default_rng(stream) for stream in streams]
        trainers = [BlockTrainer(parameters, shape, negatives, random) for random in randoms]
        rounds = settings.epochs * (MEANS_PER_EPOCH if self.hosts.size > 1 else 1)
        per_epoch = rounds // settings.epochs
        with ThreadPoolExecutor(len(trainers)) as pool:
            try:
                for number in range(rounds):
                    words = _share(self.words, number % per_epoch, per_epoch)
                    parts = [_share(words, i, len(trainers)) for i in range(len(trainers))]
                    list(pool.map(self._train_part, trainers, parts, randoms))
                    self._take_means(parameters)
            finally:
                self._stopped.set()
        self.meter.over(self._read)
        return parameters.centres

    def _train_part(
        self, trainer: BlockTrainer, words: NDArray[np.int32], random: np.random.Generator
    ) -> None:
        kept_shares = self.vocabulary.kept_shares(self.settings.sampling_threshold)
        total = max(len(self.words) * self.settings.epochs, 1)
        for chunk in _runs(words, WORDS_AT_ONCE * 16):
            is_word = chunk != END_OF_SENTENCE
            sentences = np.cumsum(~is_word)
            is_kept = is_word & (random.random(len(chunk), np.float32) < kept_shares[chunk])
            kept, located = chunk[is_kept].astype(np.int64), sentences[is_kept]
            for begin in range(0, len(kept), WORDS_AT_ONCE):
                if self._stopped.is_set():
                    return
                end = begin + WORDS_AT_ONCE
                trainer.train(kept[begin:end], located[begin:end], self._rate(self._read / total))
            self._read += len(chunk)
            share = self._read / total
            self.meter.at(self._rate(share), share, self._read)

    def _rate(self, share: float) -> float:
        """The learning rate when a share of the training is done."""
        return self.settings.learning_rate * max(1 - share, _LEAST_RATE_SHARE)

    def _take_means(self, parameters: Parameters) -> None:
        if self.hosts.size == 1:
            return
        for matrix in (parameters.centres, parameters.neighbours):
            (total,) = self.hosts.sum(matrix)
            matrix[:] = total / np.float32(self.hosts.size)


def _share(words: NDArray[np.int32], index: int, count: int) -> NDArray[np.int32]:
    """The index-th of `count` parts of nearly the same length."""
    return words[len(words) * index // count : len(words) * (index + 1) // count]


def _runs(words: NDArray[np.int32], size: int) -> Iterator[NDArray[np.int32]]:
    for begin in range(0, len(words), size):
        yield words[begin : begin + size]


def _number_of(hosts: Group) -> int:
    return hosts.resources.hosts.index(hosts.resources.current_host)


def _everyones(counted: Counter[bytes], hosts: Group) -> Counter[bytes]:
    """What all hosts counted together, on every host."""
    text = np.frombuffer(_written(counted), np.uint8)
    total: Counter[bytes] = Counter()
    for (theirs,) in hosts.gather(text):
        total.update(_read(theirs.tobytes()))
    (merged,) = hosts.broadcast(np.frombuffer(_written(total), np.uint8))
    return _read(merged.tobytes())


def _written(counted: Counter[bytes]) -> bytes:
    """A word and its number to a line: words hold no white space."""
    return b"".join(b"%s %d\n" % entry for entry in counted.items())


def _read(text: bytes) -> Counter[bytes]:
    pairs = (line.rsplit(b" ", 1) for line in text.split(b"\n") if line)
    return Counter({word: int(number) for word, number in pairs})

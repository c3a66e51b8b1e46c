"""fastText: what of this algorithm it does as it is, and its own log turned into ours.

fastText trains in native threads without Python's lock and writes its progress to the standard
error of the process, over one line again and again. It is run beside the main thread, which stays
free for signals; what it writes is read through a pipe.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fasttext
from sagelocal_train.errors import AlgorithmError, UserError
from sagelocal_train.machine import cpu_count

from sagelocal_blazingtext.corpus import Corpus
from sagelocal_blazingtext.progress import Meter, say
from sagelocal_blazingtext.settings import Settings
from sagelocal_blazingtext.vocabulary import no_words

Model = Any
"""A fastText model: the library has no type annotations."""

END_OF_LINE = "</s>"
"""The word that fastText adds to every line."""

_PROGRESS = re.compile(r"Progress:\s*([\d.]+)% words/sec/thread:\s*(\d+) lr:\s*(-?[\d.]+)")


def train(corpus: Corpus, settings: Settings) -> Model:
    """A trained model; raises UserError, AlgorithmError."""
    meter = Meter()
    words = 0.0

    def take(line: str) -> None:
        nonlocal words
        found = _PROGRESS.search(line)
        if found is None:
            _pass_on(line)
            return
        words = float(found[2]) * cpu_count() * meter.seconds
        meter.at(float(found[3]), float(found[1]) / 100, words)

    model = _beside(corpus, settings, settings.epochs, 2, take)
    meter.over(words)
    return model


def untrained(corpus: Corpus, settings: Settings) -> Model:
    """A model whose vocabulary is complete and whose matrices are as training begins."""

    def take(line: str) -> None:
        # Of no epochs there is no progress to say: fastText says a loss of NaN.
        if "Progress:" not in line:
            _pass_on(line)

    return _beside(corpus, settings, 0, 1, take)


def words_by_frequency(model: Model, settings: Settings) -> tuple[list[str], list[int]]:
    """The words without the end of line, the most frequent first, and their rows.

    Raises UserError where there is none.
    """
    words, counts = model.get_words(include_freq=True)
    order = sorted(range(len(words)), key=lambda row: -counts[row])
    rows = [row for row in order if words[row] != END_OF_LINE]
    if not rows:
        raise no_words(settings.min_count)
    return [words[row] for row in rows], rows


def _run(corpus: Corpus, settings: Settings, epochs: int, verbose: int) -> Model:
    common = {
        "input": str(corpus.path),
        "lr": settings.learning_rate,
        "dim": settings.vector_dim,
        "epoch": epochs,
        "minCount": settings.min_count,
        "bucket": settings.buckets,
        "thread": cpu_count(),
        "verbose": verbose,
    }
    if settings.is_supervised:
        return fasttext.train_supervised(**common, wordNgrams=settings.word_ngrams)
    return fasttext.train_unsupervised(
        **common,
        model=settings.mode,
        ws=settings.window_size,
        neg=settings.negative_samples,
        t=settings.sampling_threshold,
        minn=settings.min_char if settings.subwords else 0,
        maxn=settings.max_char if settings.subwords else 0,
    )


def _beside(
    corpus: Corpus, settings: Settings, epochs: int, verbose: int, take: Callable[[str], None]
) -> Model:
    """Run in another thread, so that a signal is heard at once; errors become ours."""
    outcome: list[Model] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(_run(corpus, settings, epochs, verbose))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, name="fastText", daemon=True)
    with _standard_error_to(take):
        thread.start()
        while thread.is_alive():
            thread.join(1.0)
    if failure:
        raise _explained(failure[0], settings) from failure[0]
    return outcome[0]


def _explained(error: BaseException, settings: Settings) -> BaseException:
    text = str(error)
    if "Empty vocabulary" in text:
        return no_words(settings.min_count)
    if "NaN" in text:
        return AlgorithmError(
            "Training diverged: weights are no numbers any more. Lower learning_rate"
        )
    if isinstance(error, MemoryError):
        return UserError(
            "The model does not fit into memory: it has a row of vector_dim numbers of 4 bytes "
            "for every word and every one of 'buckets'. Lower buckets or vector_dim"
        )
    return error


def _pass_on(line: str) -> None:
    if line.strip():
        say(line.strip())


@contextmanager
def _standard_error_to(take: Callable[[str], None]) -> Iterator[None]:
    """Give what is written to descriptor 2 to `take`, cut at line feeds and carriage returns."""
    kept = os.dup(2)
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    reader = threading.Thread(target=_drain, args=(read, take), daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        reader.join()
        os.close(read)


def _drain(descriptor: int, take: Callable[[str], None]) -> None:
    rest = b""
    while part := os.read(descriptor, 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + part)
        for line in lines:
            take(line.decode(errors="replace"))
    take(rest.decode(errors="replace"))

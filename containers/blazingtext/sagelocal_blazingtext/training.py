"""The training job: what SAGEMAKER_TRAINING_MODULE names.

    configuration -> channels -> text -> model -> accuracy or agreement -> files

Everything that the user can mend (hyperparameters, files, lines) ends as a UserError with one
message; training that leads nowhere ends as an AlgorithmError.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
from sagelocal_first_party.hosts import joined
from sagelocal_train import log_lines
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_blazingtext import artifact, batch_skipgram, early_stopping, library
from sagelocal_blazingtext.corpus import CHANNELS, Corpus, read_corpus
from sagelocal_blazingtext.hyperparameters import TABLE, settings_of
from sagelocal_blazingtext.progress import say
from sagelocal_blazingtext.settings import Settings
from sagelocal_blazingtext.similarity import evaluate
from sagelocal_blazingtext.word_vectors import WordVectors

log = logging.getLogger("sagelocal_blazingtext")

_MEGABYTE = 1 << 20


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    environment = Environment.read() if environment is None else environment
    log_lines.configure(environment.log_level)
    settings = settings_of(TABLE.validate(environment.raw_hyperparameters))
    CHANNELS.validate(environment.channels)
    _check(environment, settings)
    _say_what_runs(environment, settings)
    with tempfile.TemporaryDirectory() as name:
        if settings.is_supervised:
            _classify(environment, settings, Path(name))
        else:
            _embed(environment, settings, Path(name))


def _check(environment: Environment, settings: Settings) -> None:
    count = len(environment.hosts)
    if count > 1 and settings.mode != "batch_skipgram":
        raise UserError(
            f"The job has {count} instances, and the mode {settings.mode!r} trains on one: set "
            "InstanceCount to 1, or mode to 'batch_skipgram'"
        )
    if settings.early_stopping and settings.is_supervised:
        _validation_for_early_stopping(environment)


def _validation_for_early_stopping(environment: Environment) -> None:
    if "validation" not in environment.channels:
        raise UserError(
            "'early_stopping' is true, and the job has no channel 'validation' to measure on: add "
            "one, or set early_stopping to false"
        )


def _say_what_runs(environment: Environment, settings: Settings) -> None:
    hosts = environment.hosts
    if len(hosts) > 1:
        log.info(
            "Running distributed CPU BlazingText training using %s on %d hosts.",
            settings.mode,
            len(hosts),
        )
    else:
        log.info("Running single machine CPU BlazingText training using %s mode.", settings.mode)


def _read(environment: Environment, name: str, labelled: bool, scratch: Path) -> Corpus:
    corpus = read_corpus(environment.channels[name], labelled, scratch)
    log.info("Processing %s . File size: %s MB", corpus.source, corpus.size_bytes / _MEGABYTE)
    return corpus


def _classify(environment: Environment, settings: Settings, scratch: Path) -> None:
    train = _read(environment, "train", True, scratch)
    validation = None
    if "validation" in environment.channels:
        validation = _read(environment, "validation", True, scratch)
    if settings.early_stopping and validation is not None:
        model = early_stopping.train(train, validation, settings)
    else:
        model = library.train(train, settings)
        library.words_by_frequency(model, settings)
    artifact.save_classifier(model, environment.paths.model)
    _say_accuracy(model, "train", train)
    if validation is not None:
        _say_accuracy(model, "validation", validation)


def _say_accuracy(model: library.Model, channel: str, corpus: Corpus) -> None:
    examples, accuracy, _ = model.test(str(corpus.path))
    if not examples:
        raise UserError(
            f"No line of the channel {channel!r} has a label that the training data has: the "
            f"accuracy cannot be measured. Training knows {', '.join(model.get_labels()[:5])}, ..."
        )
    say(f"#{channel}_accuracy: {accuracy:.4f}")
    say(f"Number of {channel} examples: {examples}")
    say()


def _embed(environment: Environment, settings: Settings, scratch: Path) -> None:
    corpus = _read(environment, "train", False, scratch)
    subwords = None
    if settings.mode == "batch_skipgram":
        is_sharded = environment.channels["train"].distribution == "ShardedByS3Key"
        with joined(environment.resources) as hosts:
            vectors = batch_skipgram.train(corpus, settings, hosts, is_sharded)
    else:
        model = library.train(corpus, settings)
        vectors = _vectors_of(model, settings)
        subwords = model if settings.subwords else None
    if not environment.resources.is_first_host:
        log.info("The model is the same on all hosts; %s saves it.", environment.hosts[0])
        return
    artifact.save_vectors(vectors, environment.paths.model, subwords)
    if settings.evaluation:
        _evaluate(environment, vectors)


def _vectors_of(model: library.Model, settings: Settings) -> WordVectors:
    words, rows = library.words_by_frequency(model, settings)
    if settings.subwords:
        matrix = np.array([model.get_word_vector(word) for word in words], np.float32)
    else:
        matrix = np.asarray(model.f.getInputMatrix())[rows]
    return WordVectors(words, matrix)


def _evaluate(environment: Environment, vectors: WordVectors) -> None:
    channel = environment.channels.get("evaluation")
    files = {} if channel is None else {path.name: path for path in channel.files()}
    if not files:
        log.info(
            "No evaluation: this image does not bring the judgements of WordSimilarity-353. Give "
            "the channel 'evaluation' files of them, `word word number` to a line, for #mean_rho"
        )
    # Notebooks open the file; where nothing was measured, that stands in it.
    say("Evaluating word embeddings....")
    document = evaluate(vectors, files)
    say(artifact.save_evaluation(document, environment.paths.model))
    if document["mean_rho"] is not None:
        log.info("#mean_rho: %s", document["mean_rho"])

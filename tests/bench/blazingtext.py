"""BlazingText's image against the library that one would use instead, bare, in turns.

Both have the same packages, processors, text and settings, and both leave a model and say how
accurate it is; the image also checks the text line by line. Beside the time by the clock stands the
time that processors were busy, which other work on the machine does not change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog

from tests.bench.figures import Figure, Times, report

ROUNDS = 3
LINES, WORDS_OF_A_LINE, VOCABULARY, LABELS = 200_000, 30, 30_000, 8
EPOCHS = 20
TEXT_WORDS, TEXT_EPOCHS = 2_000_000, 2

CLASSIFIER = """
import fasttext, sys
from sagelocal_train.machine import cpu_count
model = fasttext.train_supervised(
    sys.argv[1], lr=0.05, dim=20, epoch=int(sys.argv[3]), minCount=5, wordNgrams=2, bucket=100000,
    thread=cpu_count(), verbose=0)
print(model.test(sys.argv[1]))
model.save_model(sys.argv[2])
"""
SKIPGRAM = """
import fasttext, sys
from sagelocal_train.machine import cpu_count
model = fasttext.train_unsupervised(
    sys.argv[1], "skipgram", lr=0.05, dim=100, epoch=int(sys.argv[3]), minCount=5, maxn=0,
    thread=cpu_count(), verbose=0)
model.save_model(sys.argv[2])
"""


def measure(folder: Path) -> None:
    """Print what the image adds to fastText, and batch_skipgram's time beside its skipgram's."""
    random = np.random.default_rng(0)
    texts = folder / "blazingtext"
    texts.mkdir()
    _write_labelled(texts / "labelled", random)
    _write_plain(texts / "plain", random)
    classify = {"mode": "supervised", "vector_dim": 20, "buckets": 100_000, "epochs": EPOCHS}
    through, alone = _in_turns(texts, texts / "labelled", classify, CLASSIFIER, EPOCHS)
    title = f"BlazingText supervised, {LINES} lines, {EPOCHS} epochs"
    _report(title, "fastText alone", through, alone, 1.05)
    embed = {"mode": "batch_skipgram", "epochs": TEXT_EPOCHS}
    through, alone = _in_turns(texts, texts / "plain", embed, SKIPGRAM, TEXT_EPOCHS)
    title = f"BlazingText batch_skipgram, {TEXT_WORDS} words, {TEXT_EPOCHS} epochs"
    _report(title, "fastText's skipgram alone", through, alone, 1.0)


def _report(title: str, library: str, through: Times, alone: Times, bar: float) -> None:
    report(
        title,
        [
            Figure(library, alone.clock, "s"),
            Figure("`train` of the image", through.clock, "s"),
            Figure("ratio by the clock", through.clock_ratios(alone), ""),
            Figure("ratio of processor time", through.busy_ratios(alone), "", bar),
        ],
    )


def _in_turns(
    folder: Path, text: Path, hyperparameters: dict[str, object], script: str, epochs: int
) -> tuple[Times, Times]:
    """The times of the image's `train`, and of the library's script."""
    catalog = ImageCatalog.load(None)
    family = catalog.resolve("blazingtext")
    assert family is not None
    scripts = Environments(default_folder(), catalog).ready(family).scripts
    base = folder / "ml"
    variables = {
        "PATH": f"{scripts}{os.pathsep}/usr/bin:/bin",
        "HOME": str(folder),
        "SAGEMAKER_BASE_DIR": str(base),
        **family.environment,
    }
    through, alone = Times(), Times()
    for _ in range(ROUNDS):
        shutil.rmtree(base, ignore_errors=True)
        _prepare(base, text, hyperparameters)
        model = folder / "model.bin"
        bare = [str(scripts / "python"), "-c", script, str(text), str(model), str(epochs)]
        alone.take(lambda bare=bare: _run(bare, variables))  # type: ignore[misc]
        through.take(lambda: _run([str(scripts / "train")], variables))
    return through, alone


def _run(command: list[str], variables: dict[str, str]) -> None:
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)


def _prepare(base: Path, text: Path, hyperparameters: dict[str, object]) -> None:
    config, train = base / "input" / "config", base / "input" / "data" / "train"
    for folder in (config, train, base / "model", base / "output"):
        folder.mkdir(parents=True)
    os.link(text, train / "text")
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (config / "hyperparameters.json").write_text(json.dumps(texts))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": {}}))


def _write_labelled(path: Path, random: np.random.Generator) -> None:
    """A third of a line's words come from its label's own part of the vocabulary."""
    labels = random.integers(0, LABELS, LINES)
    words = _zipf(random, LINES * WORDS_OF_A_LINE).reshape(LINES, WORDS_OF_A_LINE)
    own = random.random(words.shape) < 0.33
    words[own] = (words * LABELS + labels[:, None])[own] % VOCABULARY
    with path.open("w") as out:
        for label, line in zip(labels.tolist(), words.tolist(), strict=True):
            out.write(f"__label__{label} {' '.join(map(str, line))}\n")


def _write_plain(path: Path, random: np.random.Generator) -> None:
    words = _zipf(random, TEXT_WORDS).reshape(-1, 20)
    path.write_text("".join(" ".join(map(str, line)) + "\n" for line in words.tolist()))


def _zipf(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Words as frequent as in a language: the rank's inverse."""
    ranks: NDArray[np.int64] = np.exp(random.random(count) * np.log(VOCABULARY)).astype(np.int64)
    return np.minimum(ranks, VOCABULARY - 1)

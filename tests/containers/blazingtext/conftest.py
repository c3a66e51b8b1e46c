"""Texts with something to be learned in them, and what was learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FAMILY = Path(__file__).parents[3] / "containers" / "blazingtext"


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return FAMILY


TOPICS = 4
WORDS_OF_A_TOPIC = 40
COMMON_WORDS = 60


@pytest.fixture(scope="session")
def labelled() -> Callable[..., str]:
    """`labelled(lines, seed)`: texts of four topics, a third of their words the topic's own.

    In one text of ten the label is another topic's, so that no classifier is always right.
    """

    def text(lines: int, seed: int = 0) -> str:
        random = np.random.default_rng(seed)
        written = []
        for _ in range(lines):
            topic = int(random.integers(TOPICS))
            words = [
                f"t{topic}w{random.integers(WORDS_OF_A_TOPIC)}"
                if random.random() < 0.33
                else f"common{random.integers(COMMON_WORDS)}"
                for _ in range(12)
            ]
            label = topic if random.random() < 0.9 else int(random.integers(TOPICS))
            written.append(f"__label__topic{label} {' '.join(words)}\n")
        return "".join(written)

    return text


GROUPS = 12
MEMBERS = 6


@pytest.fixture(scope="session")
def planted() -> str:
    """Sentences in which words of one group, g3a to g3f, stand in each other's places.

    Each group has surroundings of its own; members of a group never meet in a sentence, so that
    only what stands around them makes them alike.
    """
    random = np.random.default_rng(5)
    lines = []
    for _ in range(7_000):
        group = int(random.integers(GROUPS))
        member = "abcdef"[int(random.integers(MEMBERS))]
        around = [f"around{group}_{random.integers(15)}" for _ in range(4)]
        filler = [f"filler{int(random.zipf(1.5)) % 200}" for _ in range(4)]
        words = [*around, *filler]
        random.shuffle(words)
        words.insert(4, f"g{group}{member}")
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def found_share() -> Callable[[Mapping[str, Any]], float]:
    """How many of a planted word's nearest five planted words are of its own group, on average."""

    def share(vectors: Mapping[str, Any]) -> float:
        words = [word for word in vectors if re.fullmatch(r"g\d+[a-f]", word)]
        assert len(words) == GROUPS * MEMBERS
        matrix = np.array([vectors[word] for word in words])
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        near = matrix @ matrix.T
        np.fill_diagonal(near, -1)
        groups = np.array([word[:-1] for word in words])
        nearest = np.argsort(-near, axis=1)[:, : MEMBERS - 1]
        return float((groups[nearest] == groups[:, None]).mean())

    return share


@pytest.fixture(scope="session")
def read_vectors() -> Callable[[Path], dict[str, list[float]]]:
    """vectors.txt as notebooks read it."""

    def read(path: Path) -> dict[str, list[float]]:
        count, dimensions, found = 0, 0, {}
        for number, line in enumerate(path.read_text().splitlines()):
            if number == 0:
                count, dimensions = map(int, line.split())
                continue
            word, *values = line.split()
            assert len(values) == dimensions
            found[word] = [float(value) for value in values]
        assert len(found) == count
        return found

    return read


@pytest.fixture(scope="session")
def metric() -> Callable[[str, str], float]:
    """`metric(log, "train_accuracy")`: the last number that the log has for it."""
    return lambda log, name: float(re.findall(rf"#{name}: (\S+)", log)[-1])

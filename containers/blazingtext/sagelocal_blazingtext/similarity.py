"""How well vectors agree with people: eval.json, and the line #mean_rho.

    {"EN-WS-353-ALL.txt": {"not_found": 2, "spearmans_rho": 0.70, "total_pairs": 353}, ...,
     "mean_rho": 0.70}

Each file of judgements has `word word number` to a line, as those of WordSimilarity-353 and most
other collections. Pairs are ranked by the cosine of their vectors, and by people; rho is Spearman's
correlation of the ranks. Words are compared in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.errors import UserError

from sagelocal_blazingtext.word_vectors import WordVectors

Vector = NDArray[np.float64]
_COLUMNS = re.compile(r"[,;\s]+")
LEAST_PAIRS = 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """One file's result; `rho` is None where fewer than two pairs have vectors."""

    not_found: int
    rho: float | None
    total_pairs: int

    def as_dict(self) -> dict[str, Any]:
        """The entry in eval.json."""
        return {
            "not_found": self.not_found,
            "spearmans_rho": self.rho,
            "total_pairs": self.total_pairs,
        }


def evaluate(vectors: WordVectors, files: Mapping[str, Path]) -> dict[str, Any]:
    """The document of eval.json; raises UserError with file and line.

    `mean_rho` is None where no file has two pairs whose words have vectors.
    """
    places = {word.lower(): place for place, word in reversed(list(enumerate(vectors.words)))}
    document: dict[str, Any] = {}
    found: list[float] = []
    for name, path in files.items():
        agreement = _agreement(vectors, places, _read(path, name))
        document[name] = agreement.as_dict()
        if agreement.rho is not None:
            found.append(agreement.rho)
    document["mean_rho"] = sum(found) / len(found) if found else None
    return document


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """The correlation of ranks; None where there is nothing to correlate."""
    if len(left) < LEAST_PAIRS:
        return None
    ranks = [_ranks(np.asarray(values, np.float64)) for values in (left, right)]
    centred = [values - values.mean() for values in ranks]
    size = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum() / size) if size else None


def _ranks(values: Vector) -> Vector:
    """From 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: Vector = last - (counts - 1) / 2
    return middle[inverse]


def _agreement(
    vectors: WordVectors, places: Mapping[str, int], pairs: Sequence[tuple[str, str, float]]
) -> Agreement:
    known = [
        (places[left], places[right], number)
        for left, right, number in pairs
        if left in places and right in places
    ]
    cosines = [_cosine(vectors.matrix[left], vectors.matrix[right]) for left, right, _ in known]
    rho = spearman(cosines, [number for *_, number in known])
    return Agreement(len(pairs) - len(known), rho, len(pairs))


def _cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    size = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / size if size else 0.0


def _read(path: Path, name: str) -> list[tuple[str, str, float]]:
    pairs = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            left, right, value = _COLUMNS.split(line.strip().lower())
            pairs.append((left, right, float(value)))
        except ValueError as error:
            raise UserError(
                f"evaluation/{name}, line {number} is not `word word number`: {line[:60]!r}"
            ) from error
    return pairs

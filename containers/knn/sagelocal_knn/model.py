"""A trained model: the nearest remembered rows of new ones, and what their labels say.

The artifact is three files, as the original writes them (developer guide, "How the k-NN Algorithm
Works"):

    model_algo-1          the serialized faiss index
    model_algo-1.labels   the labels of its rows, float32 one after the other
    model_algo-1.json     k, predictor_type and what is done to rows before; may be edited
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import faiss
import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact

from sagelocal_knn.hyperparameters import Predictor, Reduction
from sagelocal_knn.index import filled_up
from sagelocal_knn.reduction import Projection

Floats = NDArray[np.float32]

VERSION = "1.0"
# Says whose random numbers a projection was made of.
PROJECTED_BY = "sagelocal-knn"

# Comparisons of neighbours' labels made at once.
_BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of each row: the k nearest, the nearest first."""

    distances: Floats
    """Squared for L2, 1 - cosine for COSINE, the negative product for INNER_PRODUCT."""
    labels: Floats


@dataclass(frozen=True, slots=True)
class Model:
    """An index and the labels of its rows."""

    index: Any
    labels: Floats
    k: int
    predictor_type: Predictor
    projection: Projection | None = None
    normalize: bool = False
    feature_dim: int | None = None
    """How many features a row has where that is neither the projection's nor the index's."""

    @property
    def width(self) -> int:
        """How many features a row has."""
        if self.projection is not None:
            return self.projection.input_dim
        return self.feature_dim or int(self.index.d)

    def neighbours(self, rows: Floats) -> Neighbours:
        """The nearest remembered rows."""
        k = min(self.k, len(self.labels))
        sought = filled_up(prepared(rows, self.projection, self.normalize), self.index.d)
        found, places = self.index.search(sought, k)
        if self.index.metric_type != faiss.METRIC_L2:
            found = (1 if self.normalize else 0) - found
        # An IVF index may find fewer than k; the last one that it has found fills up.
        counts = np.maximum((places >= 0).sum(axis=1, keepdims=True), 1)
        filled = np.minimum(np.arange(k), counts - 1)
        places = np.take_along_axis(places, filled, axis=1)
        distances = np.take_along_axis(found, filled, axis=1).astype(np.float32)
        return Neighbours(distances, self.labels[places])

    def predict(self, neighbours: Neighbours) -> Floats:
        """A label for each row."""
        if self.predictor_type == "regressor":
            means: NDArray[np.float64] = neighbours.labels.mean(axis=1, dtype=np.float64)
            return means.astype(np.float32)
        return _majority(neighbours.labels)

    def save(self, archive: Path) -> None:
        """Write the artifact's files."""
        faiss.write_index(self.index, str(archive))
        _beside(archive, "labels").write_bytes(self.labels.astype("<f4").tobytes())
        document: dict[str, Any] = {
            "k": self.k,
            "predictor_type": self.predictor_type,
            "dimension_reduction": None,
            "normalize": self.normalize,
            "version": VERSION,
        }
        if self.projection is not None:
            document["dimension_reduction"] = {
                "type": self.projection.kind,
                "seed": self.projection.seed,
                "target_dim": self.projection.target_dim,
                "input_dim": self.projection.input_dim,
                "by": PROJECTED_BY,
            }
        elif self.width != self.index.d:
            document["feature_dim"] = self.width
        _beside(archive, "json").write_text(json.dumps(document))


def prepared(rows: Floats, projection: Projection | None, normalize: bool) -> Floats:
    """Rows as the index holds them."""
    reduced = rows if projection is None else projection(rows)
    if normalize:
        lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
        reduced = np.divide(reduced, np.where(lengths > 0, lengths, 1), dtype=np.float32)
    return np.ascontiguousarray(reduced, np.float32)


def _majority(labels: Floats) -> Floats:
    """The most frequent label of each row; of several, that of the nearest neighbour."""
    k = labels.shape[1]
    winners = np.empty(len(labels), np.float32)
    step = max(1, _BLOCK_CELLS // (k * k))
    for start in range(0, len(labels), step):
        part = labels[start : start + step]
        votes = (part[:, :, None] == part[:, None, :]).sum(axis=2)
        winners[start : start + step] = part[np.arange(len(part)), votes.argmax(axis=1)]
    return winners


def load(folder: Path) -> Model:
    """The model of a model folder; raises ArtifactError."""
    archive = artifact.found(folder)
    try:
        index = faiss.read_index(str(archive))
    except RuntimeError as error:
        raise ArtifactError(f"{archive.name} is no readable faiss index") from error
    document = _metadata(_beside(archive, "json"))
    labels = _labels(_beside(archive, "labels"))
    if len(labels) != index.ntotal:
        raise ArtifactError(f"{archive.name} has {index.ntotal} rows and {len(labels)} labels")
    k, predictor = document.get("k"), document.get("predictor_type")
    if not isinstance(k, int) or k < 1:
        raise ArtifactError(f"{archive.name}.json: 'k' is {k!r}, not a positive integer")
    if predictor not in get_args(Predictor):
        raise ArtifactError(
            f"{archive.name}.json: 'predictor_type' is {predictor!r}; it must be 'classifier' or "
            "'regressor'"
        )
    projection = _projection(document.get("dimension_reduction"), f"{archive.name}.json")
    normalize = bool(document.get("normalize"))
    width = document.get("feature_dim")
    if width is not None and not (isinstance(width, int) and 1 <= width <= index.d):
        raise ArtifactError(
            f"{archive.name}.json: 'feature_dim' is {width!r}, not an integer of 1 to {index.d}"
        )
    return Model(index, labels, k, cast(Predictor, predictor), projection, normalize, width)


def _beside(archive: Path, suffix: str) -> Path:
    return archive.with_name(f"{archive.name}.{suffix}")


def _metadata(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
    except OSError as error:
        raise ArtifactError(f"The model folder has no {path.name}") from error
    try:
        document = json.loads(text)
    except ValueError:
        # The developer guide shows it with Python's False.
        try:
            document = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError) as error:
            raise ArtifactError(f"{path.name} is not JSON") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path.name} holds no JSON object")
    return document


def _labels(path: Path) -> Floats:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"The model folder has no {path.name}") from error
    if len(content) % 4:
        raise ArtifactError(f"{path.name} has {len(content)} bytes: no float32 numbers")
    return np.frombuffer(content, "<f4").astype(np.float32)


def _projection(document: object, name: str) -> Projection | None:
    if not document:
        return None
    if not isinstance(document, dict) or document.get("by") != PROJECTED_BY:
        raise ArtifactError(
            f"{name}: rows were reduced by a random projection that was made elsewhere and cannot "
            "be made again here; train the model here, or without dimension_reduction_type"
        )
    try:
        sizes = (int(document[key]) for key in ("seed", "input_dim", "target_dim"))
        return Projection(cast(Reduction, document["type"]), *sizes)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{name}: 'dimension_reduction' lacks or garbles {error}") from error

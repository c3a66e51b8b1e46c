"""The contests of `families`: each built-in algorithm, its rival, and the data that both are given.

The image has recordio-protobuf, RecordIO or text; the library has the same rows as .npy, which is
the fastest that it can be given, or the same file. Jobs take about a minute at their full size.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sagelocal_formats.image_records import ImageRecord, encode_index, write_image_records
from sagelocal_formats.record_protobuf import SparseRows, encode_rows, encode_sparse

Array = NDArray[Any]
Judge = Callable[[Array, Array], float]

RECORDS, CSV, JSON = "application/x-recordio-protobuf", "text/csv", "application/json"
REQUEST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Data:
    """The folder of a contest: what both sides are given."""

    folder: Path
    random: np.random.Generator
    share: float

    def size(self, whole: int, least: int = 2) -> int:
        """So many, or a part of them in a trial."""
        return max(round(whole * self.share), least)

    def channel(self, name: str, content: bytes, content_type: str = RECORDS) -> None:
        """One file of a channel."""
        folder = self.folder / "data" / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(content)
        (self.folder / "types.json").write_text(
            json.dumps(self.types() | {name: content_type}),
        )

    def types(self) -> dict[str, str]:
        """The content types of the channels."""
        path = self.folder / "types.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def save(self, **arrays: Array) -> None:
        """What the rival reads."""
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array)

    def requests(self, bodies: dict[int, bytes], content_type: str) -> None:
        """What is asked, by the number of its rows; the rival reads it, too."""
        for rows, body in bodies.items():
            (self.folder / f"request-{rows}").write_bytes(body)
        asked = {"rows": list(bodies), "type": content_type}
        (self.folder / "requests.json").write_text(json.dumps(asked))


@dataclass(frozen=True, slots=True)
class Contest:
    """A family, its rival, and what both do."""

    family: str
    rival: str
    library: str
    title: str
    prepare: Callable[[Data], dict[str, object]]
    """Writes the data; gives the hyperparameters."""
    field: str = "score"
    judged: str = ""
    judge: Judge | None = None
    """What the answers to the largest request are worth, from them and their labels."""
    own_environment: bool = False
    """Whether the rival is in the image's environment."""


# --- requests -----------------------------------------------------------------------------------


def _csv_requests(data: Data, rows: Array, labels: Array | None = None) -> None:
    lines = [",".join(f"{value:.6g}" for value in row) + "\n" for row in rows.tolist()]
    data.requests({1: lines[0].encode(), len(lines): "".join(lines).encode()}, CSV)
    data.save(requests=rows)
    if labels is not None:
        data.save(request_labels=labels)


def _instances(data: Data, records: Sequence[object], **more: object) -> None:
    one, all_of_them = (
        json.dumps({"instances": part, **more}).encode() for part in (records[:1], records)
    )
    data.requests({1: one, len(records): all_of_them}, JSON)


# --- the contests -------------------------------------------------------------------------------


def _cross_entropy(scores: Array, labels: Array) -> float:
    sure = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels > 0, np.log(sure), np.log(1 - sure))))


def _mean_square(distances: Array, labels: Array) -> float:
    return float(np.mean(np.square(distances)))


def _accuracy(answers: Array, labels: Array) -> float:
    return float((answers == labels).mean())


def _ranking(scores: Array, labels: Array) -> float:
    """The area under the ROC curve."""
    ranks = scores.argsort().argsort() + 1
    positive, count = labels > 0, int((labels > 0).sum())
    below = ranks[positive].sum() - count * (count + 1) / 2
    return float(below / (count * (len(labels) - count)))


def _linear_learner(data: Data) -> dict[str, object]:
    count, width = data.size(1_000_000) + REQUEST_ROWS, 50
    rows = data.random.standard_normal((count, width), np.float32)
    chances = 1 / (1 + np.exp(-rows @ data.random.normal(0, 0.3, width)))
    labels = (data.random.random(count) < chances).astype(np.float32)
    _csv_requests(data, rows[-REQUEST_ROWS:], labels[-REQUEST_ROWS:])
    rows, labels = rows[:-REQUEST_ROWS], labels[:-REQUEST_ROWS]
    data.channel("train", encode_rows({"values": rows}, {"values": labels}))
    data.save(rows=rows, labels=labels)
    return {
        **{"predictor_type": "binary_classifier", "feature_dim": width, "num_models": 1},
        **{"epochs": 30, "early_stopping_patience": 30},
    }


def _pca(data: Data) -> dict[str, object]:
    count, width = data.size(400_000) + REQUEST_ROWS, 600
    rows = data.random.standard_normal((count, width), np.float32)
    rows *= np.linspace(0.1, 2, width, dtype=np.float32)
    _csv_requests(data, rows[-REQUEST_ROWS:])
    data.channel("train", encode_rows({"values": rows[:-REQUEST_ROWS]}))
    data.save(rows=rows[:-REQUEST_ROWS])
    return {"feature_dim": width, "num_components": 20, "mini_batch_size": 5000}


def _kmeans(data: Data) -> dict[str, object]:
    count, width = data.size(500_000) + REQUEST_ROWS, 50
    centers = data.random.normal(0, 1, (100, width))
    rows = data.random.standard_normal((count, width), np.float32)
    rows += centers[data.random.integers(0, 100, count)].astype(np.float32)
    _csv_requests(data, rows[-REQUEST_ROWS:], np.zeros(REQUEST_ROWS))
    data.channel("train", encode_rows({"values": rows[:-REQUEST_ROWS]}))
    data.save(rows=rows[:-REQUEST_ROWS])
    return {"feature_dim": width, "k": 100}


def _knn(data: Data) -> dict[str, object]:
    count, tested, width = data.size(500_000), data.size(20_000), 64
    centers = data.random.normal(0, 0.4, (10, width))
    labels = data.random.integers(0, 10, count + tested + REQUEST_ROWS)
    rows = data.random.standard_normal((len(labels), width), np.float32)
    rows += centers[labels].astype(np.float32)
    cuts = [count, count + tested]
    (train, test, requests), (own, tests, asked) = np.split(rows, cuts), np.split(labels, cuts)
    _csv_requests(data, requests, asked)
    for name, part, known in (("train", train, own), ("test", test, tests)):
        data.channel(name, encode_rows({"values": part}, {"values": known}))
    data.save(rows=train, labels=own, test=test, test_labels=tests)
    return {"feature_dim": width, "k": 5, "predictor_type": "classifier", "sample_size": count}


def _factorization_machines(data: Data) -> dict[str, object]:
    # 20 fields of 500 categories each.
    count, fields, categories = data.size(500_000) + REQUEST_ROWS, 20, 500
    width = fields * categories
    picks = data.random.integers(0, categories, (count, fields))
    keys = picks + categories * np.arange(fields)
    factors = data.random.normal(0, 0.35, (width, 4))
    own = factors[keys]
    raw = (np.square(own.sum(axis=1)) - np.square(own).sum(axis=1)).sum(axis=1) / 2
    labels = (data.random.random(count) < 1 / (1 + np.exp(-raw))).astype(np.float32)
    asked = [
        {"data": {"features": {"keys": row, "shape": [width], "values": [1] * fields}}}
        for row in keys[-REQUEST_ROWS:].tolist()
    ]
    _instances(data, asked)
    rows, known = keys[:-REQUEST_ROWS], labels[:-REQUEST_ROWS]
    data.channel("train", encode_sparse(_ones(rows, width), known))
    data.save(labels=known, request_labels=labels[-REQUEST_ROWS:])
    for name, part in (("rows", rows), ("requests", keys[-REQUEST_ROWS:])):
        _save_sparse(data.folder / f"{name}.npz", _ones(part, width))
    return {
        **{"feature_dim": width, "num_factors": 16, "predictor_type": "binary_classifier"},
        **{"epochs": 10, "mini_batch_size": 1000, "linear_lr": 0.01, "factors_lr": 0.01},
        **{"factors_init_sigma": 0.01, "linear_wd": 1e-5},
    }


def _ones(keys: Array, width: int) -> SparseRows:
    indptr = np.arange(0, keys.size + 1, keys.shape[1], dtype=np.int64)
    return SparseRows(indptr, keys.ravel(), np.ones(keys.size, np.float32), width)


def _save_sparse(path: Path, rows: SparseRows) -> None:
    """As scipy.sparse.save_npz does."""
    shape = np.array([len(rows), rows.width])
    indices, indptr, values = rows.keys, rows.indptr, rows.values
    form = np.array(b"csr")
    np.savez(path, format=form, shape=shape, indices=indices, indptr=indptr, data=values)


def _random_cut_forest(data: Data) -> dict[str, object]:
    count, width = data.size(1_000_000), 20
    rows = data.random.standard_normal((2 * count + REQUEST_ROWS, width), np.float32)
    odd = data.random.random(len(rows)) < 0.01
    rows[odd] *= 2.5
    train, test, requests = np.split(rows, [count, 2 * count])
    _csv_requests(data, requests, odd[2 * count :])
    data.channel("train", encode_rows({"values": train}))
    labels = odd[count : 2 * count].astype(np.float32)
    data.channel("test", encode_rows({"values": test}, {"values": labels}))
    data.save(rows=train, test=test)
    return {"feature_dim": width, "num_trees": 100, "num_samples_per_tree": 256}


def _small_forest(data: Data) -> dict[str, object]:
    rows = data.random.standard_normal((50_000 + REQUEST_ROWS, 20), np.float32)
    _csv_requests(data, rows[-REQUEST_ROWS:])
    data.channel("train", encode_rows({"values": rows[:-REQUEST_ROWS]}))
    data.save(rows=rows[:-REQUEST_ROWS])
    return {"feature_dim": 20, "num_trees": 100, "num_samples_per_tree": 256}


def _xgboost(data: Data) -> dict[str, object]:
    count, width = data.size(200_000), 50
    rows = data.random.standard_normal((count + REQUEST_ROWS, width), np.float32)
    labels = rows[:, :5].sum(axis=1) + data.random.normal(size=len(rows)) > 0
    _csv_requests(data, rows[-REQUEST_ROWS:], labels[-REQUEST_ROWS:])
    table = np.column_stack([labels, rows])[:-REQUEST_ROWS]
    np.savetxt(data.folder / "train.csv", table, delimiter=",", fmt="%.6g")
    data.channel("train", (data.folder / "train.csv").read_bytes(), CSV)
    settings = {"objective": "binary:logistic", "max_depth": 6, "eval_metric": "auc"}
    # Threads that wait for one another measure what else a machine does: one on both sides.
    return {**settings, "nthread": 1, "num_round": data.size(300)}


def _blazingtext(data: Data) -> dict[str, object]:
    count, length, vocabulary, labels = data.size(400_000), 30, 30_000, 8
    known = data.random.integers(0, labels, count + REQUEST_ROWS)
    words = np.exp(data.random.random((len(known), length)) * np.log(vocabulary)).astype(np.int64)
    own = data.random.random(words.shape) < 0.33
    words[own] = (words * labels + known[:, None])[own] % vocabulary
    texts = [" ".join(map(str, line)) for line in words.tolist()]
    lines = (
        f"__label__{label} {text}\n" for label, text in zip(known.tolist(), texts, strict=True)
    )
    content = "".join(list(lines)[:count]).encode()
    (data.folder / "train.txt").write_bytes(content)
    data.channel("train", content, "text/plain")
    asked = texts[count:]
    _instances(data, asked)
    data.save(requests=np.array(asked))
    return {"mode": "supervised", "vector_dim": 20, "buckets": 100_000, "epochs": 30}


def _deepar(data: Data) -> dict[str, object]:
    """Days and weeks of hours: 200 series, each of its own size and its own height of the day."""
    count, length, ahead = 200, 600, 24
    hours = np.arange(length + ahead)
    day = np.sin(2 * np.pi * (hours / 24 + data.random.random((count, 1))))
    week = np.sin(2 * np.pi * hours / 168)
    noise = data.random.normal(0, 0.2, (count, len(hours)))
    size = np.exp(data.random.normal(2, 1, (count, 1)))
    values = (
        size * (4 + day * data.random.uniform(0.5, 2, (count, 1)) + 0.5 * week + noise)
    ).round(4)
    known = values[:, :length].tolist()
    series = [{"start": "2024-01-01 00:00:00", "target": each} for each in known]
    lines = "".join(json.dumps(each) + "\n" for each in series)
    data.channel("train", lines.encode(), "application/jsonlines")
    asked = {"num_samples": 100, "output_types": ["mean"], "quantiles": ["0.5"]}
    _instances(data, series[:100], configuration=asked)
    data.save(rows=values[:, :length], requests=values[:100, :length])
    data.save(request_labels=values[:100, length])
    return {
        **{"time_freq": "H", "context_length": 24, "prediction_length": ahead},
        **{"epochs": data.size(300), "likelihood": "gaussian", "mini_batch_size": 128},
        **{"num_cells": 40, "num_layers": 2, "dropout_rate": 0.1},
    }


def _mean_error(answers: Array, labels: Array) -> float:
    """As a part of how large the values are."""
    return float(np.abs(answers - labels).mean() / np.abs(labels).mean())


def _image_classification(data: Data) -> dict[str, object]:
    """Noise with a bright bar: the class says where it stands."""
    classes, pixels, measured = 8, 64, 64
    count = data.size(1500, least=64)
    labels = data.random.integers(0, classes, count + measured)
    pictures = data.random.integers(0, 120, (len(labels), pixels, pixels, 3), np.uint8)
    width = pixels // classes
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        picture[:, label * width : (label + 1) * width] += 100
    files = [_png(picture) for picture in pictures]
    records = [
        ImageRecord((float(label),), file, number)
        for number, (label, file) in enumerate(zip(labels.tolist(), files, strict=True))
    ]
    for name, part in (("train", records[:count]), ("validation", records[count:])):
        with (data.folder / f"{name}.rec").open("wb") as stream:
            index: dict[int, int] = {}
            write_image_records(stream, part, index)
        (data.folder / f"{name}.idx").write_bytes(encode_index(index))
        content = (data.folder / f"{name}.rec").read_bytes()
        data.channel(name, content, "application/x-recordio")
    data.requests({1: files[-1]}, "image/png")
    return {
        **{"num_layers": 18, "num_classes": classes, "num_training_samples": count},
        **{"image_shape": f"3,{pixels},{pixels}", "mini_batch_size": 32, "epochs": 3},
        "learning_rate": 0.01,
    }


def _png(picture: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


SKLEARN = "scikit-learn"
CONTESTS = (
    Contest(
        "linear-learner",
        "linear_learner",
        f"{SKLEARN}'s SGDClassifier",
        "Linear Learner, 1,000,000 x 50, 30 passes",
        _linear_learner,
        judged="cross entropy",
        judge=_cross_entropy,
    ),
    Contest("pca", "pca", f"{SKLEARN}'s PCA", "PCA, 400,000 x 600", _pca, "projection"),
    Contest(
        "kmeans",
        "kmeans",
        f"{SKLEARN}'s KMeans",
        "K-Means, 500,000 x 50, 100 clusters",
        _kmeans,
        "distance_to_cluster",
        "mean square distance",
        _mean_square,
    ),
    Contest(
        "knn",
        "knn",
        "faiss",
        "k-NN, 500,000 x 64, 20,000 rows tested",
        _knn,
        "predicted_label",
        "accuracy",
        _accuracy,
        own_environment=True,
    ),
    Contest(
        "factorization-machines",
        "factorization_machines",
        "modern-fm",
        "Factorization Machines, 500,000 rows, 20 of 10,000 features, 10 passes",
        _factorization_machines,
        judged="cross entropy",
        judge=_cross_entropy,
    ),
    Contest(
        "random-cut-forest",
        "random_cut_forest",
        f"{SKLEARN}'s IsolationForest",
        "Random Cut Forest, 1,000,000 x 20, as many tested",
        _random_cut_forest,
        judged="area under the ROC curve",
        judge=_ranking,
    ),
    Contest(
        "random-cut-forest",
        "rrcf_forest",
        "rrcf (20 rows for 1,000)",
        "Random Cut Forest, 50,000 x 20",
        _small_forest,
    ),
    Contest(
        "xgboost",
        "xgboost_library",
        "xgboost",
        "XGBoost, 200,000 x 50, 300 rounds, one thread",
        _xgboost,
        judged="area under the ROC curve",
        judge=_ranking,
        own_environment=True,
    ),
    Contest(
        "blazingtext",
        "blazingtext",
        "fastText",
        "BlazingText supervised, 12,000,000 words, 30 passes",
        _blazingtext,
        "prob",
        own_environment=True,
    ),
    Contest(
        "deepar",
        "deepar",
        "an LSTM of mxnet's Gluon",
        "DeepAR, 200 series of 600 hours, 300 epochs",
        _deepar,
        "mean",
        "mean error of the first hour",
        _mean_error,
        own_environment=True,
    ),
    Contest(
        "image-classification",
        "image_classification",
        "Gluon's resnet18_v2",
        "Image Classification, 18 layers, 1,500 images of 64 x 64, 3 epochs",
        _image_classification,
        own_environment=True,
    ),
)

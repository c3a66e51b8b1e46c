"""PCA and K-Means: a whole job of the image against a script with scikit-learn, in turns.

Both begin with a process and end with a model on disk. The script gets its rows as .npy, which is
the fastest that it can be given; the job gets recordio-protobuf.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from sagelocal_formats.record_protobuf import encode_rows

from tests.bench import bare
from tests.bench.figures import Figure, report, seconds

ROUNDS = 3
RIVAL = Path(__file__).with_name("with_sklearn.py")
JOBS = {
    "pca": {"feature_dim": 100, "num_components": 20, "mini_batch_size": 500},
    "kmeans": {"feature_dim": 100, "k": 20},
}
ROWS = 100_000


def measure(folder: Path) -> None:
    """Print how long each takes, and the ratio."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 2, (20, 100))
    rows = np.empty((ROWS, 100), np.float32)
    rows[:] = centers[rng.integers(0, 20, ROWS)] + rng.normal(0, 2, rows.shape)
    data = folder / "first-party"
    (data / "train").mkdir(parents=True)
    np.save(data / "rows.npy", rows)
    (data / "train" / "rows.pbr").write_bytes(encode_rows({"values": rows}))
    for name, hyperparameters in JOBS.items():
        _measure(name, hyperparameters, data)
    shutil.rmtree(data)


def _measure(name: str, hyperparameters: dict[str, int], data: Path) -> None:
    base = _base(data / name, hyperparameters, data / "train")
    rival = [sys.executable, str(RIVAL), name, str(data / "rows.npy"), str(data / "model.npz")]
    ours, theirs = [], []
    bare.train(base, name)  # Builds the environment where it is not there yet.
    for _ in range(ROUNDS):
        theirs.append(seconds(lambda: subprocess.run(rival, check=True)))
        ours.append(seconds(lambda: bare.train(base, name)))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    report(
        f"A training job ({name}, {ROWS:,} rows of 100 features)",
        [
            Figure("a script with scikit-learn", theirs, "s"),
            Figure("the image's train", ours, "s"),
            Figure("ratio", ratios, "", 1.05),
        ],
    )


def _base(base: Path, hyperparameters: dict[str, int], train: Path) -> Path:
    """An /opt/ml whose training data is a link."""
    config, inputs = base / "input" / "config", base / "input" / "data"
    for each in (config, inputs, base / "model", base / "output"):
        each.mkdir(parents=True)
    (inputs / "train").symlink_to(train)
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (config / "hyperparameters.json").write_text(json.dumps(texts))
    content_type = "application/x-recordio-protobuf"
    channel = {"ContentType": content_type, "TrainingInputMode": "File"}
    (config / "inputdataconfig.json").write_text(json.dumps({"train": channel}))
    return base

"""What is fuzzed: servers with a model each, and bodies that they read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import joblib
import numpy as np
import scipy.sparse
import xgboost
from PIL import Image
from sagelocal_formats.parquet import write_parquet
from sagelocal_formats.record_protobuf import encode_rows, encode_sparse
from sagelocal_formats.rows import SparseRows
from sagelocal_linear_learner import artifact
from sagelocal_linear_learner.model import LinearModel
from sklearn.linear_model import LinearRegression

Seeds = Mapping[str, Sequence[bytes]]
NewServer = Callable[..., Any]

CONTAINERS = Path(__file__).parents[3] / "containers"
MATRIX = np.array([[1, 0, 2.5], [0, -3, 0]], np.float32)

# Its model takes whatever the default input_fn gives, so that no request is beyond it.
SCRIPT = """
def model_fn(model_dir):
    return None

def predict_fn(data, model):
    if hasattr(data, "dtype") and data.dtype.kind in "biufU" and data.size < 10_000:
        return data.tolist() if hasattr(data, "tolist") else data.toarray()
    return {"is": type(data).__name__, "shape": [str(size) for size in getattr(data, "shape", ())]}
"""


def _sparse(matrix: Any) -> SparseRows:
    rows = scipy.sparse.csr_matrix(matrix)
    return SparseRows(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data, rows.shape[1]
    )


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _image(kind: str) -> bytes:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    return _written(lambda stream: picture.save(stream, kind))


def tables(columns: int) -> Seeds:
    """Rows of numbers in the formats that every algorithm reads."""
    matrix = np.resize(MATRIX, (2, columns))
    rows = matrix.tolist()
    features = [{"features": row} for row in rows]
    tensors = [
        {"data": {"features": {"values": rows[0]}}},
        {"data": {"features": {"keys": [0], "shape": [columns], "values": [2]}}},
    ]
    return {
        "text/csv": [
            b"".join(",".join(map(str, row)).encode() + b"\n" for row in rows),
            ",".join(map(str, rows[0])).encode(),
        ],
        "application/json": [
            json.dumps({"instances": features}).encode(),
            json.dumps({"instances": tensors}).encode(),
            json.dumps(rows).encode(),
        ],
        "application/jsonlines": [
            "\n".join(map(json.dumps, features)).encode(),
            "\n".join(map(json.dumps, tensors)).encode(),
            "\n".join(map(json.dumps, rows)).encode(),
        ],
        "application/x-recordio-protobuf": [
            encode_rows({"values": matrix}),
            encode_sparse(_sparse(matrix)),
        ],
        "text/libsvm": [
            b"1 0:1 2:2.5\n0 1:-3\n",
            b"0:1 1:2\n# nothing\n1:3 # first\n",
            b"1:0.5 qid:2 0:1\n",
        ],
    }


ALL_FORMATS: Seeds = {
    **tables(3),
    "application/x-npy": [_written(lambda stream: np.save(stream, MATRIX))],
    "application/x-npz": [
        _written(lambda stream: scipy.sparse.save_npz(stream, scipy.sparse.csr_matrix(MATRIX))),
        _written(lambda stream: np.savez(stream, x=MATRIX)),
    ],
    "application/x-parquet": [_written(lambda stream: write_parquet(stream, MATRIX))],
    "image/png": [_image("PNG")],
    "image/jpeg": [_image("JPEG")],
    "application/x-image": [_image("GIF"), _image("BMP"), _image("WEBP")],
}


@dataclass(frozen=True)
class Target:
    """A server that runs, what it reads, and where it takes it."""

    server: Any
    seeds: Seeds
    paths: Sequence[str] = ("/invocations",)


def script(new_server: NewServer, base: Path) -> Target:
    """A script without codecs of its own, and a limit that callers meet."""
    _write_script(base / "model")
    return Target(new_server(base, SAGEMAKER_MAX_REQUEST_SIZE="100000"), ALL_FORMATS)


def linear_learner(new_server: NewServer, base: Path) -> Target:
    """A built-in algorithm on the codecs that they all share."""
    model = LinearModel(
        "regressor", np.array([[2, -0.5, 1]], np.float32), np.array([10], np.float32), "identity"
    )
    (base / "model").mkdir(parents=True)
    artifact.save(model, base / "model" / "model_algo-1")
    return Target(_family(new_server, base, "linear_learner"), tables(3))


def xgboost_model(new_server: NewServer, base: Path) -> Target:
    """The built-in XGBoost, which has codecs of its own."""
    rows = np.random.default_rng(0).normal(size=(30, 3))
    data = xgboost.DMatrix(rows, rows[:, 0], nthread=1)
    (base / "model").mkdir(parents=True)
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, data, 2)
    booster.save_model(base / "model" / "xgboost-model.ubj")
    return Target(_family(new_server, base, "xgboost"), tables(3))


def scikit_learn(new_server: NewServer, base: Path) -> Target:
    """A pickled estimator, served without a script, which says itself what it cannot take."""
    rows = np.random.default_rng(0).normal(size=(30, 3))
    (base / "model").mkdir(parents=True)
    joblib.dump(LinearRegression().fit(rows, rows[:, 0]), base / "model" / "model.joblib")
    seeds = {**tables(3), "application/x-npy": ALL_FORMATS["application/x-npy"]}
    return Target(_family(new_server, base, "scikit_learn"), seeds)


def blazingtext(new_server: NewServer, base: Path) -> Target:
    """A library in C++ behind texts."""
    (base / "model").mkdir(parents=True)
    text = base / "text"
    text.write_text("__label__good nice happy day\n__label__bad awful rainy night\n" * 20)
    model = fasttext.train_supervised(str(text), dim=4, epoch=3, minCount=1, thread=1, verbose=0)
    model.save_model(str(base / "model" / "model.bin"))
    instances = {"instances": ["nice day", "awful\nnight \u00e9"], "configuration": {"k": 2}}
    seeds = {
        "application/json": [json.dumps(instances).encode(), b'{"instances": ["nice"]}'],
        "application/jsonlines": [b'{"source": "nice day", "k": 2}\n{"source": "night"}\n'],
    }
    return Target(_family(new_server, base, "blazingtext"), seeds)


def many_models(new_server: NewServer, base: Path) -> Target:
    """Scripts behind the routes of a multi-model container."""
    folder = base / "models" / "one"
    _write_script(folder)
    server = new_server(base, SAGEMAKER_MULTI_MODEL="true").wait_until_ready()
    load = json.dumps({"model_name": "one", "url": str(folder)}).encode()
    asked = server.request("POST", "/models", load, {"Content-Type": "application/json"})
    assert asked.status == 200, asked.body
    # Never the folder itself: a request that loads one more model would outlive its example.
    broken = json.dumps({"model_name": "two", "url": "/no/such/folder"}).encode()
    seeds = {**tables(3), "application/json": [*tables(3)["application/json"], broken]}
    paths = ("/models/one/invoke", "/models/one/invoke", "/models/none/invoke", "/models", "/ping")
    return Target(server, seeds, paths)


TARGETS: Mapping[str, Callable[[NewServer, Path], Target]] = {
    "script": script,
    "linear_learner": linear_learner,
    "xgboost": xgboost_model,
    "scikit_learn": scikit_learn,
    "blazingtext": blazingtext,
    "many_models": many_models,
}


def _write_script(folder: Path) -> None:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(SCRIPT)


def _family(new_server: NewServer, base: Path, name: str) -> Any:
    folders = (CONTAINERS / name, CONTAINERS / "first_party")
    return new_server(
        base,
        SAGEMAKER_SERVING_MODULE=f"sagelocal_{name}.serving:app",
        PYTHONPATH=":".join(map(str, folders)),
    )

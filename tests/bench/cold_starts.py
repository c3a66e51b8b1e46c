"""How soon each image answers its first request, against an interpreter that imports its libraries.

The model is what the family's own sample trains (`[sample]` of its image.toml), and the request the
sample's. Both begin with a new process, in turns; bytecode and files are in the machine's cache.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sagelocal.runtime.images import ImageCatalog, ImageFamily

from tests.bench import bare
from tests.bench.figures import Figure, Times, report, tree_seconds, wait_until
from tests.bench.plane import free_port

TURNS = 3
BAR_SECONDS = 1.0
TYPES = {".csv": "text/csv", ".json": "application/json"}

# transformers imports what it is made of when that is asked for.
_TRANSFORMERS = (
    "torch, transformers.pipelines, transformers.models.bert.modeling_bert, "
    "transformers.models.bert.tokenization_bert_fast"
)
#: The libraries that a family's inference is made of, by the family.
LIBRARIES: Mapping[str, str] = {
    "blazingtext": "numpy, fasttext",
    "deepar": "numpy",
    "factorization-machines": "numpy",
    "hugging-face": _TRANSFORMERS,
    "image-classification": "mxnet",
    "kmeans": "numpy",
    "knn": "numpy, faiss",
    "linear-learner": "numpy",
    "mxnet": "mxnet",
    "pca": "numpy",
    "pytorch": "torch",
    "random-cut-forest": "numpy",
    "scikit-learn": "sklearn.linear_model",
    "sparkml-serving": "numpy",
    "tensorflow": "tensorflow",
    "xgboost": "xgboost",
}


def measure(folder: Path, names: Sequence[str] = (), turns: int = TURNS) -> None:
    """Print the list, a figure for each image, or for those named."""
    catalog = ImageCatalog.load(None)
    for name, libraries in LIBRARIES.items():
        family = catalog.resolve(name)
        assert family is not None
        if not names or name in names:
            own = folder / f"start-{name}"
            figures = _measure(own, family, libraries, turns)
            shutil.rmtree(own)
            report(f"A cold start of {name}, beside its imports alone", figures)


def _measure(base: Path, family: ImageFamily, libraries: str, turns: int) -> list[Figure]:
    variables = bare.environment(base, family.family, **family.sample.environment)
    scripts = Path(variables["PATH"].split(os.pathsep)[0])
    _prepare(base, family)
    if family.sample.model is None:
        _run([str(scripts / "train")], variables)
    alone = [str(scripts / "python"), "-c", f"import {libraries}"]
    imports, first = Times(), Times()
    for _ in range(turns):
        imports.take(lambda: _run(alone, variables))
        clock, busy = _first_answer(family, scripts, variables)
        first.clock.append(clock)
        first.busy.append(busy)
    later = [a - b for a, b in zip(first.clock, imports.clock, strict=True)]
    worked = [a - b for a, b in zip(first.busy, imports.busy, strict=True)]
    return [
        Figure(f"import {libraries}", imports.clock, "s"),
        Figure("the first answer", first.clock, "s"),
        Figure("later", later, "s", BAR_SECONDS),
        Figure("more processor time", worked, "s"),
    ]


def _prepare(base: Path, family: ImageFamily) -> None:
    """An /opt/ml with the sample's data, or with its model."""
    sample, config = family.sample, base / "input" / "config"
    for each in (config, base / "input" / "data", base / "output"):
        each.mkdir(parents=True)
    if sample.model is not None:
        shutil.copytree(sample.model, base / "model")
        return
    (base / "model").mkdir()
    channels = {}
    for name, channel in sample.channels.items():
        target = base / "input" / "data" / name
        if channel.path.is_dir():
            shutil.copytree(channel.path, target)
        else:
            target.mkdir()
            shutil.copy(channel.path, target)
        channels[name] = {"TrainingInputMode": "File"}
        if channel.content_type:
            channels[name]["ContentType"] = channel.content_type
    # Samples name their script as the cloud does.
    values = {
        name: value.replace("/opt/ml/", f"{base}/")
        for name, value in sample.hyperparameters.items()
    }
    (config / "hyperparameters.json").write_text(json.dumps(values))
    (config / "inputdataconfig.json").write_text(json.dumps(channels))


def _first_answer(
    family: ImageFamily, scripts: Path, variables: dict[str, str]
) -> tuple[float, float]:
    """Seconds from the start of `serve` to its first answer, and those of processors."""
    assert family.sample.request is not None
    body, kind = family.sample.request.read_bytes(), family.sample.request_type
    headers = {"Content-Type": kind or TYPES[family.sample.request.suffix]}
    port = free_port()
    more = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [scripts / "serve"],
        env=variables | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: bare.ping(port), 180)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        taken = time.perf_counter() - began, tree_seconds(process.pid)
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{family.family}: {answer.status} {content[:300]!r}")
        return taken
    finally:
        process.terminate()
        process.wait()


def _run(command: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-2000:]}")

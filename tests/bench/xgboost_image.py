"""XGBoost through its image against the bare library: a training job, and one-row predictions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog, ImageFamily

from tests.bench.figures import Figure, report, seconds

ROUNDS = 5
ROWS, WIDTH, BOOSTING_ROUNDS = 40_000, 20, 60
HYPERPARAMETERS = {"objective": "binary:logistic", "max_depth": "6", "eval_metric": "auc"}
BAR_RATIO = 1.05
BAR_MICROSECONDS = 50.0

# What somebody without the image writes: the library's own text loader, training and saving.
BARE = """
import json, sys
import xgboost
data, model, parameters, rounds = sys.argv[1:]
matrix = xgboost.DMatrix(data + "?format=csv&label_column=0")
booster = xgboost.train(json.loads(parameters), matrix, int(rounds), evals=[(matrix, "train")])
booster.save_model(model)
"""

# Handles requests without a server, beside the three steps that every server has to do.
REQUESTS = """
import json, sys, time
from pathlib import Path
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import MediaType
from sagelocal_xgboost import answers, requests
from sagelocal_xgboost.serving import AlgorithmHandler, Options
handler = AlgorithmHandler(Options())
handler.load(Path(sys.argv[1]))
body = ",".join(["1.25"] * int(sys.argv[2])).encode()
request = Request(body, MediaType.parse("text/csv"), headers={"content-type": "text/csv"})
predictor = handler._models[0]

def bare():
    row = requests.decode_row(request, predictor.width)
    return answers.encode_row(predictor.row(row))

def microseconds(call):
    begin = time.perf_counter()
    for _ in range(500):
        call()
    return (time.perf_counter() - begin) / 500 * 1e6

assert handler.handle(request).body == bare()
pairs = [(microseconds(bare), microseconds(lambda: handler.handle(request))) for _ in range(15)]
print(json.dumps(pairs))
"""


def measure(folder: Path) -> None:
    """Print both."""
    images = ImageCatalog.load()
    family = images.resolve("xgboost")
    assert family is not None
    scripts = Environments(default_folder(), images).ready(family).scripts
    base = folder / "xgboost"
    _prepare(base)
    _measure_training(base, scripts, family)
    _measure_requests(base, scripts)


def _measure_training(base: Path, scripts: Path, family: ImageFamily) -> None:
    variables = {"PATH": "/usr/bin:/bin", "SAGEMAKER_BASE_DIR": str(base), **family.environment}
    model = base / "model" / "xgboost-model"
    arguments = [
        *(str(base / "input/data/train/data.csv"), str(base / "bare.ubj")),
        *(json.dumps(HYPERPARAMETERS), str(BOOSTING_ROUNDS)),
    ]

    def bare() -> None:
        command = [str(scripts / "python"), "-W", "ignore", "-c", BARE, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def image() -> None:
        model.unlink(missing_ok=True)
        subprocess.run([scripts / "train"], env=variables, check=True, stdout=subprocess.DEVNULL)
        assert model.stat().st_size

    alone, through = [], []
    for _ in range(ROUNDS):
        alone.append(seconds(bare))
        through.append(seconds(image))
    report(
        f"Training XGBoost, {ROWS} x {WIDTH} CSV, {BOOSTING_ROUNDS} rounds",
        [
            Figure("the bare library", alone, "s"),
            Figure("`train` of the image", through, "s"),
            Figure("ratio", [t / a for t, a in zip(through, alone, strict=True)], "", BAR_RATIO),
        ],
    )


def _measure_requests(base: Path, scripts: Path) -> None:
    command = [str(scripts / "python"), "-c", REQUESTS, str(base / "model"), str(WIDTH)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pairs = json.loads(printed.splitlines()[-1])
    report(
        "One row of CSV to XGBoost, without a server",
        [
            Figure("parse, predict and encode", [bare for bare, _ in pairs], "us"),
            Figure("the whole handler", [whole for _, whole in pairs], "us"),
            Figure("overhead", [w - b for b, w in pairs], "us", BAR_MICROSECONDS),
        ],
    )


def _prepare(base: Path) -> None:
    """Fill `base` as /opt/ml of a training job."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(ROWS, WIDTH)).astype(np.float32)
    labels = rows[:, :5].sum(axis=1) + random.normal(size=ROWS) > 0
    data = base / "input" / "data" / "train" / "data.csv"
    data.parent.mkdir(parents=True)
    np.savetxt(data, np.column_stack([labels, rows]), delimiter=",", fmt="%.6g")
    config = base / "input" / "config"
    config.mkdir()
    given = HYPERPARAMETERS | {"num_round": str(BOOSTING_ROUNDS)}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    (config / "inputdataconfig.json").write_text('{"train": {"ContentType": "text/csv"}}')

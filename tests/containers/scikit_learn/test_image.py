"""`train` and `serve` of the image as processes, in the environment that its lock makes."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest
import sklearn

SCRIPT = """
import argparse, os
import joblib
import pandas as pd
from sklearn.linear_model import LinearRegression

parser = argparse.ArgumentParser()
parser.add_argument("--fit-intercept", type=lambda text: text == "True", default=False)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
arguments = parser.parse_args()

rows = pd.read_csv(os.path.join(arguments.train, "rows.csv"))
model = LinearRegression(fit_intercept=arguments.fit_intercept)
model.fit(rows[["a", "b"]], rows["y"])
print("threads", os.environ["OMP_NUM_THREADS"])
joblib.dump(model, os.path.join(arguments.model_dir, "model.joblib"))
"""
ROWS = "y,a,b\n1,0,0\n3,1,0\n4,0,1\n6,1,1\n"
SAVE = """
import joblib, sklearn.base
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
sklearn.base.__version__ = {version!r}
model = make_pipeline(StandardScaler(), LinearRegression()).fit([[0.0], [1.0]], [0.0, 2.0])
joblib.dump(model, "model/model.joblib")
"""


def test_what_a_script_trains_is_served_without_another(container: Any) -> None:
    container.write("input/data/train/rows.csv", ROWS)

    assert container.train(SCRIPT, **{"fit-intercept": True}) == 0, container.log
    assert f"threads {len(os.sched_getaffinity(0))}\n" in container.log

    status, text, _ = container.serve().raw("a,b\n1,1\n0,2\n", "text/csv")
    assert (status, json.loads(text)) == (200, pytest.approx([6, 7]))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os\nraise ValueError('the third row has no label')\n", "ValueError: the third"),
        ("def train(:\n    pass\n", "SyntaxError: invalid syntax"),
        ("import sagelocal_no_such_package\n", "No module named 'sagelocal_no_such_package'"),
    ],
)
def test_a_script_that_fails_leaves_its_reason(container: Any, script: str, said: str) -> None:
    assert container.train(script) == 1

    failure = (container.base / "output" / "failure").read_text()
    assert failure.startswith("ExecuteUserScriptError:\nExitCode 1\n")
    assert said in failure[:1024]


def test_the_workers_share_one_model_and_say_its_version_once(container: Any) -> None:
    container.python(SAVE.format(version="1.2.2"))
    container.variables["SAGEMAKER_MODEL_SERVER_WORKERS"] = "2"

    server = container.serve()

    status, text, _ = server.raw("3", "text/csv")
    assert (status, json.loads(text)) == (200, pytest.approx([6]))
    assert container.log.count("Model loaded in") == 1
    assert container.log.count("was saved by scikit-learn 1.2.2") == 1
    assert "InconsistentVersionWarning" not in container.log


def test_workers_with_a_script_say_its_models_version_once(container: Any) -> None:
    container.python(SAVE.format(version="1.2.2"))
    container.write(
        "model/code/inference.py",
        "import joblib\ndef model_fn(folder):\n    return joblib.load(folder + '/model.joblib')\n",
    )
    container.variables["SAGEMAKER_MODEL_SERVER_WORKERS"] = "2"

    assert container.serve().raw("3", "text/csv")[0] == 200
    while container.log.count("Model loaded in") < 2:
        assert container.started[0].poll() is None
    assert container.log.count("was saved by scikit-learn 1.2.2") == 1


def test_it_serves_many_models_behind_one_port(container: Any) -> None:
    container.python(SAVE.format(version=sklearn.__version__))
    container.variables["SAGEMAKER_MULTI_MODEL"] = "true"
    server = container.serve()
    wanted = {"model_name": "twice", "url": str(container.base / "model")}

    assert server.raw(wanted, "application/json", "/models")[0] == 200
    status, text, _ = server.raw("3", "text/csv", "/models/twice/invoke")

    assert (status, json.loads(text)) == (200, pytest.approx([6]))


def test_a_model_that_cannot_be_loaded_says_why_in_ping_and_log(container: Any) -> None:
    container.write("model/notes.md", "")
    container.write("model/weights.bin", "")

    container.serve()

    assert "There is no scikit-learn model among: notes.md, weights.bin" in container.log


def joblib_as(version: str, folder: Path) -> str:
    """A wheel of the joblib that is installed here, under another version; its file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    name, package = f"joblib-{version}-py3-none-any.whl", Path(joblib.__file__).parent
    meta = {
        "METADATA": f"Metadata-Version: 2.1\nName: joblib\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path in package.rglob("*.py"):
            if "test" not in path.parts:
                archive.write(path, Path("joblib") / path.relative_to(package))
        for file, text in meta.items():
            archive.writestr(f"joblib-{version}.dist-info/{file}", text)
    return name


@pytest.mark.parametrize("kept", [False, True], ids=["as in the cloud", "kept"])
def test_other_versions_from_requirements_are_the_ones_that_load_the_model(
    container: Any, kept: bool
) -> None:
    if kept:
        (container.base / ".packages").mkdir()
    container.python(SAVE.format(version=sklearn.__version__))
    name = joblib_as("99.0", container.base / "model" / "code")
    container.write("model/code/requirements.txt", f"./{name}\n")

    server = container.serve()

    assert server.raw("3", "text/csv")[0] == 200
    assert "Starting again with what requirements.txt brought: joblib 99.0" in container.log
    assert container.log.count("Listening on") == 2
    assert ("Nothing to install: these packages are kept in" in container.log) is kept

"""SavedModels, written and asked by TensorFlow in the environment of its image family."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from sagelocal.models.exporting import to_savedmodel
from sagelocal.models.inspecting import inspect
from sagelocal.models.source import Files
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog
from sagelocal_factorization_machines import model as factors
from sagelocal_kmeans import model as kmeans
from sagelocal_linear_learner import artifact as linear
from sagelocal_linear_learner.model import LinearModel
from sagelocal_pca import model as pca

from tests.local_mode.models import saved
from tests.local_mode.models.conftest import Command
from tests.local_mode.models.saved import ARCHIVE, floats

ROWS = floats(20, 4, seed=1)
ASK = """
import json, sys, numpy as np, tensorflow as tf
for folder, rows in json.load(sys.stdin).items():
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    answers = serve(data=tf.constant(rows, tf.float32))
    np.savez(folder + ".npz", **{name: value.numpy() for name, value in answers.items()})
"""


def binary(folder: Path) -> None:
    saved.linear_learner(folder)


def classes(folder: Path) -> None:
    model = LinearModel("multiclass_classifier", floats(3, 4), floats(3), "softmax")
    linear.save(model, folder / ARCHIVE)


def pairs(folder: Path) -> None:
    model = factors.FactorModel(True, floats(1), floats(4), floats(4, 2))
    factors.save(model, folder / ARCHIVE, {"predictor_type": "binary_classifier"})


MODELS: tuple[saved.Saver, ...] = (binary, classes, pairs, saved.pca, saved.kmeans)


def tensorflow(program: str, given: object) -> None:
    catalog = ImageCatalog.load()
    family = catalog.resolve("tensorflow")
    assert family is not None
    python = Environments(default_folder(), catalog).ready(family).scripts / "python"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", program],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr


Answers = Mapping[str, np.ndarray]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Mapping[str, Answers]:
    """What TensorFlow answers with each model.

    It takes seconds to begin, so that the command writes one of them and the others are written
    together.
    """
    folder = tmp_path_factory.mktemp("models")
    outputs = {saver.__name__: folder / f"{saver.__name__}-savedmodel" for saver in MODELS}
    models = {}
    for saver in MODELS:
        model = folder / saver.__name__
        model.mkdir()
        saver(model)
        models[outputs[saver.__name__]] = inspect(Files.of(model))
    of_the_command = outputs["binary"]
    del models[of_the_command]
    done = command("export", folder / "binary", "--to", "savedmodel", "--output", of_the_command)
    assert done.exit_code == 0, done.output
    assert done.output == (
        f"{of_the_command}: a SavedModel: data (N x 4) -> score (N), predicted_label (N)\n"
    )
    assert command.inspect(of_the_command)["family"] == "tensorflow"
    assert len(to_savedmodel.write(models)) == len(models)
    tensorflow(ASK, {str(output): ROWS.tolist() for output in outputs.values()})
    return {name: dict(np.load(f"{output}.npz")) for name, output in outputs.items()}


def made(saver: saved.Saver, folder: Path) -> Path:
    saver(folder)
    return folder


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("saver", [binary, classes])
def test_linear_learner(saver: saved.Saver, answers: Mapping[str, Answers], tmp_path: Path) -> None:
    model, found = linear.load(made(saver, tmp_path)), answers[saver.__name__]
    scores = model.scores(ROWS)
    close(found["score"], scores)
    np.testing.assert_array_equal(found["predicted_label"], model.labels(scores))


def test_factorization_machines(answers: Mapping[str, Answers], tmp_path: Path) -> None:
    scores = factors.load(made(pairs, tmp_path)).scores(ROWS)
    close(answers["pairs"]["score"], scores)
    label = answers["pairs"]["predicted_label"]
    np.testing.assert_array_equal(label, scores >= factors.THRESHOLD)


def test_pca(answers: Mapping[str, Answers], tmp_path: Path) -> None:
    close(answers["pca"]["projection"], pca.load(made(saved.pca, tmp_path)).project(ROWS))


def test_kmeans(answers: Mapping[str, Answers], tmp_path: Path) -> None:
    expected = kmeans.load(made(saved.kmeans, tmp_path)).closest(ROWS)
    np.testing.assert_array_equal(answers["kmeans"]["closest_cluster"], expected.labels)
    close(answers["kmeans"]["distance_to_cluster"], np.sqrt(expected.squares))


def test_a_folder_with_files_is_not_replaced(command: Command, tmp_path: Path) -> None:
    saved.pca(tmp_path)
    said = command.refusal("export", tmp_path, "--to", "savedmodel", "--output", tmp_path)
    assert "is there and no empty folder" in said

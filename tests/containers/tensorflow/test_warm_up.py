"""The requests that SavedModels bring to be warmed up with, and those that cannot be served."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.framework import Image

WARM_UP = Path(__file__).with_name("warm_up.py")


@pytest.fixture(scope="module")
def said(image: Image, models: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What was printed of all cases; TensorFlow is imported once."""
    done = subprocess.run(
        [
            image.scripts / "python",
            "-W",
            "ignore",
            WARM_UP,
            models,
            tmp_path_factory.mktemp("cases"),
        ],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "words",
    ["predict by 3", "text by 1", "classify by 1", "regress by 1"],
)
def test_a_models_own_requests_are_replayed(said: str, words: str) -> None:
    assert f"Warmed up {words} requests in " in said


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no signature", 'record 1: Serving signature name: "absent" not found in signature def'),
        ("inputs", "record 1: it gives a to the signature 'serving_default', which takes a, b."),
        ("method", "record 1: Expected classify signature method_name to be tensorflow/serving/cl"),
        ("name", "record 1: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("tensor", "record 1: cannot reshape array of size 1 into shape (2,)"),
        ("session", "record 1: a session_run_log is not replayed here, but predict, classify and"),
        ("too many", "record 1001: there are more than 1000 of them. Write"),
        ("no message", "record 1: "),
        ("no records", "record 0: corrupted record at 0 (Is this even a TFRecord file?). Write"),
    ],
)
def test_a_model_whose_own_requests_fail_is_not_loaded(said: str, case: str, words: str) -> None:
    (line,) = (line for line in said.splitlines() if line.startswith(f"The model {case} "))

    assert "cannot be warmed up by its assets.extra/tf_serving_warmup_requests" in line
    assert words in line
    assert "or leave it out" in line
    assert ".." not in line


def test_a_model_that_is_not_for_serving_says_how_to_save_it(said: str) -> None:
    assert "The SavedModel trained 1 has no graph with the tag 'serve'" in said
    assert "Save it for serving, with tf.saved_model.save or model.export" in said

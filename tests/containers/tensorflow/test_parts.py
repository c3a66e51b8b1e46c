"""The parts that need no TensorFlow: bodies, archives, tensors, attributes, options, model_dir."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_serve.batching import Batching
from sagelocal_serve.settings import SettingsError
from sagelocal_tensorflow import archive, bodies, keras, tensors
from sagelocal_tensorflow.attributes import Attributes
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.options import Options
from sagelocal_tensorflow.training import doubt_of, with_model_dir_of_its_own
from sagelocal_train import Environment

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
rows = st.lists(numbers, min_size=1, max_size=4)


@given(st.lists(rows, min_size=2, max_size=5))
def test_the_same_rows_in_any_type_are_the_same_instances(table: list[list[float]]) -> None:
    lines = "\n".join(map(json.dumps, table))
    text = "\n".join(",".join(map(repr, row)) for row in table)
    expected = {"instances": table}

    assert bodies.read(json.dumps(expected), "application/json") == expected
    assert bodies.read(json.dumps(table), "application/json") == expected
    assert bodies.read(lines, "application/jsonlines") == expected
    if all(len(row) > 1 for row in table):
        assert bodies.read(text, "text/csv") == expected


@pytest.mark.parametrize(
    ("body", "kind", "instances"),
    [
        ("[1, 2]", "application/json", [[1, 2]]),
        ('{"x": [1]}', "application/json", [{"x": [1]}]),
        ("7", "application/json", [7]),
        ('{"x": 1}\r\n\r\n{"x": 2}\n', "application/json", [{"x": 1}, {"x": 2}]),
        ('"a, b",1\n', "text/csv", [["a, b", 1]]),
        ("red,green\nblue,white", "text/csv", [["red", "green"], ["blue", "white"]]),
        ("red\nblue", "text/csv", ["red", "blue"]),
        ("1\n\n2\n", "text/csv", [1, 2]),
    ],
)
def test_a_body_of_no_serving_shape_is_read_as_the_original_reads_it(
    body: str, kind: str, instances: Any
) -> None:
    assert bodies.read(body, kind) == {"instances": instances}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ('{"a": 1}\nnothing', "application/jsonlines", "line 2 is no JSON"),
        ("1,2\n3,x", "text/csv", "Line 2 of the CSV body"),
        ("1,,3", "text/csv", "Line 1 of the CSV body"),
        ("{", "application/json", "JSON Parse error"),
        ("", "text/csv", "The document is empty"),
    ],
)
def test_a_body_that_cannot_be_read_says_where(body: str, kind: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        bodies.read(body, kind)


def save(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("1/saved_model.pb", "model", 1),
        ("00000123/saved_model.pb", "model", 123),
        ("half/7/saved_model.pb", "half", 7),
        ("export/Servo/1528/saved_model.pb", "Servo", 1528),
    ],
)
def test_models_are_found_by_the_folders_above_their_versions(
    tmp_path: Path, path: str, name: str, version: int
) -> None:
    folder = tmp_path / "model"
    save(folder, path, "code/1/saved_model.pb", "code/inference.py")

    (bundle,) = archive.find(folder)

    assert (bundle.name, bundle.version) == (name, version)
    assert bundle.folder == (folder / path).parent
    assert [b.name for b in archive.find(folder, "of-many")] == ["of-many"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["saved_model.pb"], "'.' of the model archive has no version"),
        (["best/saved_model.pb"], "'best' of the model archive has no version"),
        (["model.h5"], "keras.models.load_model"),
        (["weights.pt", "notes.md"], "a model of PyTorch: deploy it with PyTorchModel"),
        (["model-symbol.json", "model-0000.params"], "MXNet"),
        ([], "holds nothing"),
    ],
)
def test_an_archive_without_a_servable_model_says_the_next_step(
    tmp_path: Path, files: list[str], said: str
) -> None:
    save(tmp_path, *files)

    with pytest.raises(archive.NoSavedModel, match=said):
        archive.find(tmp_path)


def spec(dtype: Any, shape: tuple[int, ...] | None = None) -> tensors.Spec:
    return tensors.Spec("x", "x:0", np.dtype(dtype), "DT_OF_THE_TEST", shape)


@given(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1))
def test_numbers_survive_a_tensor_and_json(table: list[list[float]]) -> None:
    array = tensors.read(table, spec(np.float32, (-1, 2)))
    text = tensors.write({"predictions": tensors.values("y", array)})

    found = np.array(json.loads(text)["predictions"], np.float32)
    assert found.tolist() == table
    if np.isfinite(array).all():
        shortest = [[float(str(value)) for value in row] for row in array]
        assert json.loads(text)["predictions"] == shortest


@given(st.lists(st.text(), min_size=1), st.lists(st.binary(), min_size=1))
def test_texts_and_bytes_survive_a_tensor_and_json(texts: list[str], raw: list[bytes]) -> None:
    as_texts = tensors.values("y", tensors.read(texts, spec(object)))
    as_bytes = tensors.values("y_bytes", np.array([*raw, None], object)[:-1])

    assert as_texts == texts
    assert tensors.read(as_bytes, spec(object)).tolist() == raw


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.5], np.int64),
        ([300], np.uint8),
        ([None], np.float32),
        ([1], np.bool_),
        ([{"a": 1}], np.float32),
        (["a", ["b"]], object),
        ([1], object),
        ([10**30], np.int64),
    ],
)
def test_a_value_of_another_type_is_refused(value: Any, dtype: Any) -> None:
    with pytest.raises(Refused, match="DT_OF_THE_TEST"):
        tensors.read(value, spec(dtype))


def test_attributes_of_others_are_passed_over() -> None:
    header = "trace=7,tfs-model-name=half_plus_two,tfs-model-version=12,tfs-method=predict,x"

    assert Attributes.parse(header) == Attributes("half_plus_two", "12", "predict")
    assert Attributes.parse("") == Attributes()


def test_options_are_those_of_the_environment() -> None:
    found = Options.read(
        {
            "SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "half",
            "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
            "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "2500",
            "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
            "SAGEMAKER_GUNICORN_WORKERS": "2",
            "SAGEMAKER_GUNICORN_THREADS": "3",
        }
    )

    assert found == Options("half", Batching(8, 2.5), instances=2, script_threads=6)
    assert Options.read({}) == Options()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SAGEMAKER_TFS_ENABLE_BATCHING", "maybe"), ("SAGEMAKER_TFS_INSTANCE_COUNT", "0")],
)
def test_an_option_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}='{value}'"):
        Options.read({name: value})


def test_the_jobs_of_a_tuner_get_a_model_dir_of_their_own(tmp_path: Path) -> None:
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    tuned = {"model_dir": '"s3://bucket/models"', "_tuning_objective_metric": '"loss"'}
    (config / "hyperparameters.json").write_text(json.dumps(tuned))
    variables = {"SAGEMAKER_BASE_DIR": str(tmp_path), "TRAINING_JOB_NAME": "tuned-001"}
    environment = Environment.read(variables)

    found = with_model_dir_of_its_own(environment)

    assert found.user_arguments() == ["--model_dir", "s3://bucket/models/tuned-001/model"]
    alone = dataclasses.replace(environment, raw_hyperparameters={})
    assert with_model_dir_of_its_own(alone) is alone


def test_what_cannot_be_served_is_said_after_training(tmp_path: Path) -> None:
    assert "No model artifact is saved" in str(doubt_of(tmp_path))
    save(tmp_path, "weights.h5")
    assert "there is no SavedModel" in str(doubt_of(tmp_path))
    save(tmp_path, "best/saved_model.pb")
    assert '"best", not a numeric name' in str(doubt_of(tmp_path))
    save(tmp_path, "1/saved_model.pb")
    assert doubt_of(tmp_path) is None


@pytest.mark.parametrize(
    ("image", "is_keras_2"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.12.0-cpu-py310", True),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.12-cpu-py310", True),
        ("520713654638.dkr.ecr.us-west-2.amazonaws.com/sagemaker-tensorflow:1.11.0-cpu-py2", True),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.16.2-cpu-py310", 0),
        ("127.0.0.1:5000/tensorflow-training:2.19.0-cpu-py312", False),
        ("sagelocal/tensorflow:1", False),
        ("", False),
    ],
)
def test_a_script_of_an_older_tensorflow_gets_keras_2(image: str, is_keras_2: bool) -> None:
    found = keras.variables({"SAGELOCAL_IMAGE": image})

    assert found == ({"TF_USE_LEGACY_KERAS": "1"} if is_keras_2 else {})

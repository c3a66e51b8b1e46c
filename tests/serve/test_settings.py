"""The environment variables: names, precedence, values that cannot be."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
from sagelocal_serve.cpus import usable_cpus
from sagelocal_serve.settings import VARIABLES, Settings, SettingsError

README = Path(__file__).parents[2] / "serve" / "README.md"


def test_empty_environment_gives_the_defaults() -> None:
    settings = Settings.read({})
    assert settings == Settings()
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.worker_count == usable_cpus()


def test_every_field_can_be_set_by_a_variable() -> None:
    of_one_model_among_many = {"model_folder", "packages_folder"}
    fields = {f.name for f in dataclasses.fields(Settings)}
    assert {v.field for v in VARIABLES} == fields - of_one_model_among_many


@pytest.mark.parametrize(
    ("environment", "field", "value"),
    [
        ({"SAGEMAKER_BIND_TO_PORT": "9000"}, "port", 9000),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "5000-5999"}, "safe_port_range", (5000, 5999)),
        ({"MODEL_SERVER_WORKERS": "3"}, "workers", 3),
        ({"SAGEMAKER_MULTI_MODEL": "True"}, "multi_model", True),
        ({"SAGEMAKER_NUM_MODEL_WORKERS": "2"}, "model_workers", 2),
        ({"MODEL_SERVER_MODELS_MEMORY_IN_MB": "512"}, "models_memory_mb", 512),
        ({"MODEL_SERVER_EVICT_MODELS": "yes"}, "evict_models", True),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "4", "MODEL_SERVER_WORKERS": "3"}, "workers", 4),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "", "MODEL_SERVER_WORKERS": "3"}, "workers", 3),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "120"}, "timeout_seconds", 120),
        ({"MODEL_SERVER_TIMEOUT": " 120 "}, "timeout_seconds", 120),
        ({"SAGEMAKER_MAX_REQUEST_SIZE": "10", "MAX_CONTENT_LENGTH": "20"}, "body_limit", 10),
        ({"MAX_CONTENT_LENGTH": "20"}, "body_limit", 20),
        ({"MAX_CONTENT_LENGTH": "20", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, "body_limit", 20),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, "body_limit", 6 * 1024 * 1024),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, "body_limit", None),
        ({"SAGEMAKER_BASE_DIR": "/data"}, "model_dir", Path("/data/model")),
        ({"SAGEMAKER_BATCH": "True"}, "batch", True),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"}, "log_level", logging.DEBUG),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "warning"}, "log_level", logging.WARNING),
        ({"OMP_NUM_THREADS": "2"}, "omp_threads", 2),
    ],
)
def test_variable_sets_its_field(environment: dict[str, str], field: str, value: Any) -> None:
    assert getattr(Settings.read(environment), field) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "5999-5000"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "5000"),
        ("MODEL_SERVER_WORKERS", "0"),
        ("MODEL_SERVER_WORKERS", "1.5"),
        ("SAGEMAKER_SERVING_MODULE", "predictor"),
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/"),
        ("SAGEMAKER_BATCH", "maybe"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud"),
        ("MAX_CONTENT_LENGTH", "-1"),
    ],
)
def test_impossible_value_is_refused_by_name_with_what_is_expected(name: str, value: str) -> None:
    expected = next(v.expects for v in VARIABLES if name in v.names)
    with pytest.raises(SettingsError) as error:
        Settings.read({name: value})
    assert str(error.value) == f"{name}={value!r}: expected {expected}"


def test_all_impossible_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"(?s)SAGEMAKER_BIND_TO_PORT.*MODEL_SERVER_THREADS"):
        Settings.read({"SAGEMAKER_BIND_TO_PORT": "x", "MODEL_SERVER_THREADS": "y"})


def test_readme_says_what_every_variable_does() -> None:
    text = README.read_text()
    for variable in VARIABLES:
        names = ", ".join(f"`{name}`" for name in variable.names)
        assert f"| {names} | {variable.default} | {variable.help} |" in text

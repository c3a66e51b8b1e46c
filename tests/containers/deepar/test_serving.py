"""Endpoints of DeepAR: forecasts in the original's shapes, and what is wrong with a request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sagelocal_deepar import artifact, network_arrays
from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.requests import Configuration, of_environment
from sagelocal_deepar.serving import DeepAR
from sagelocal_deepar.shape import Shape
from sagelocal_formats import mxnet_ndarray
from sagelocal_serve.errors import ModelError

from tests.containers.deepar.records import seasonal

if TYPE_CHECKING:
    from tests.containers.conftest import Answer, Server

JSON, LINES = "application/json", "application/jsonlines"
Serve = Callable[[Path], "Server"]
[RECORD] = seasonal(1, 60)
USUAL = [f"0.{digit}" for digit in range(1, 10)]
PLAIN = Shape(
    frequency=Frequency.parse("H"),
    context_length=12,
    prediction_length=4,
    likelihood="gaussian",
    lags=(1, 2, 24),
    scale_length=24,
    num_cells=6,
)
WITH_MEMBERS = Shape(
    frequency=Frequency.parse("D"),
    context_length=5,
    prediction_length=3,
    likelihood="negative-binomial",
    lags=(1, 7),
    scale_length=7,
    num_cells=6,
    cardinality=(2, 3),
    embedding_dimension=4,
    dynamic_means=(0.0,),
    dynamic_deviations=(1.0,),
)


def saved(shape: Shape, folder: Path) -> Path:
    """A model folder with random weights; its parent."""
    random = np.random.default_rng(0)
    arrays = {
        f"arg:{name}": (0.3 * random.standard_normal(size)).astype(np.float32)
        for name, size in network_arrays.shapes(shape).items()
    }
    (folder / "model").mkdir()
    prefix = folder / "model" / "model_algo-1"
    mxnet_ndarray.save(prefix.with_name("model_algo-1-0000.params"), arrays)
    artifact.save_config(prefix, shape)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Server:
    """An endpoint of hourly series."""
    return serve(saved(PLAIN, tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def with_members(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Server:
    """An endpoint of daily counts with two categories and a feature."""
    return serve(saved(WITH_MEMBERS, tmp_path_factory.mktemp("members")))


def body(*records: Any, **configuration: Any) -> str:
    document: dict[str, Any] = {"instances": list(records)}
    return json.dumps(document | ({"configuration": configuration} if configuration else {}))


def predictions(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["predictions"]
    return found


def test_a_forecast_has_the_mean_and_nine_quantiles(plain: Server) -> None:
    answer = plain.invoke(body(RECORD, RECORD | {"target": []}), JSON)

    assert answer.content_type == JSON
    for each in predictions(answer):
        assert sorted(each) == ["mean", "quantiles"]
        assert list(each["quantiles"]) == USUAL
        assert len(each["mean"]) == 4
        steps = np.array(list(each["quantiles"].values()))
        assert steps.shape == (9, 4)
        assert (np.diff(steps, axis=0) >= 0).all()


def test_the_configuration_says_what_is_wanted(plain: Server) -> None:
    wanted = {"num_samples": 30, "output_types": ["samples", "quantiles"], "quantiles": ["0.50"]}
    [found] = predictions(plain.invoke(body(RECORD, **wanted), JSON))

    assert sorted(found) == ["quantiles", "samples"]
    assert np.shape(found["samples"]) == (30, 4)
    assert list(found["quantiles"]) == ["0.50"]
    np.testing.assert_allclose(
        found["quantiles"]["0.50"], np.median(found["samples"], axis=0), rtol=1e-5
    )
    wanted = {"output_types": ["mean"], "quantiles": [0.5]}
    [mean] = predictions(plain.invoke(body(RECORD, **wanted), JSON))
    assert sorted(mean) == ["mean"]


def test_a_client_that_names_no_type_sends_json(plain: Server) -> None:
    assert len(predictions(plain.invoke(body(RECORD), "application/octet-stream"))) == 1


def test_json_lines_are_answered_by_a_line_each(plain: Server) -> None:
    lines = f"{json.dumps(RECORD)}\n{json.dumps(RECORD | {'target': [1, None, 'NaN', 2]})}\n"
    answer = plain.invoke(lines, LINES)

    assert (answer.status, answer.content_type) == (200, LINES)
    first, second = [json.loads(line) for line in answer.body.splitlines()]
    assert sorted(first) == sorted(second) == ["mean", "quantiles"]
    as_json = plain.invoke(lines, LINES, JSON)
    assert predictions(as_json) == [first, second]


def test_series_are_scaled_one_by_one(plain: Server) -> None:
    tall = RECORD | {"target": [1000 * value for value in RECORD["target"]]}
    small, large = predictions(plain.invoke(body(RECORD, tall, num_samples=500), JSON))

    assert 300 < np.mean(large["mean"]) / np.mean(small["mean"]) < 3000


def test_categories_and_features_are_taken(with_members: Server) -> None:
    def asked(cat: list[int], feature: list[float]) -> list[float]:
        record = {"start": "2020-01-01", "target": [3, 1, 4], "cat": cat, "dynamic_feat": [feature]}
        wanted = {"num_samples": 200, "output_types": ["mean", "samples"]}
        [found] = predictions(with_members.invoke(body(record, **wanted), JSON))
        samples = np.array(found["samples"])
        assert ((samples >= 0) & (samples == samples.round())).all()
        mean: list[float] = found["mean"]
        return mean

    zeros, late = [0.0] * 6, [0.0] * 5 + [9.0]
    first = asked([0, 0], zeros)
    assert asked([0, 0], zeros) == first
    assert asked([1, 2], zeros) != first
    # What is known of the last step alone changes no other.
    assert asked([0, 0], late)[:2] == first[:2]
    assert asked([0, 0], late)[2] != first[2]


LONG = [0.0] * 6
MEMBERS = {"start": "2020-01-01", "target": [3, 1, 4], "cat": [0, 0], "dynamic_feat": [LONG]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cat": None}, '"cat" has 0 entries, and the model was trained with 2'),
        ({"cat": [0]}, '"cat" has 1 entries'),
        ({"cat": [0, 3]}, '"cat" has 3 at position 2, and there are 3 categories'),
        ({"dynamic_feat": None}, '"dynamic_feat" has 0 series, and the model was trained with 1'),
        ({"dynamic_feat": [LONG, LONG]}, '"dynamic_feat" has 2 series'),
        (
            {"dynamic_feat": [[0.0] * 3]},
            'has 3 values; it needs as many as "target", 3 and 3 more (prediction_length)',
        ),
        ({"dynamic_feat": [[0.0] * 5 + ["NaN"]]}, "features may not be missing"),
        ({"start": None}, 'it has no "start"'),
        ({"start": "yesterday"}, "\"start\" is 'yesterday'"),
        ({"target": None}, 'it has no "target"'),
        ({"target": [1, "x", 2]}, "\"target\" has 'x' at position 2"),
    ],
)
def test_a_wrong_instance_is_told(with_members: Server, change: dict[str, Any], words: str) -> None:
    wrong = {name: value for name, value in (MEMBERS | change).items() if value is not None}
    as_json = with_members.invoke(body(MEMBERS, wrong), JSON)
    as_line = with_members.invoke(json.dumps(wrong), LINES)

    for answer, where in ((as_json, "Instance 2: "), (as_line, "Record 1: ")):
        assert answer.status == 400
        assert where in answer.json["message"]
        assert words in answer.json["message"]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "words"),
    [
        ('{"instances": 5}', JSON, 400, "no list of instances"),
        ("[]", JSON, 400, "no list of instances"),
        ('{"instances": []}', JSON, 400, "empty"),
        ('{"instances": [5]}', JSON, 400, "Instance 1: it is 5, not an object"),
        ('{"instances": [', JSON, 400, "line 1, column"),
        (b"\xff\xfe", JSON, 400, "0xff"),
        (b"", JSON, 400, "empty body"),
        ("\n", LINES, 400, ""),
        ("1,2", "text/csv", 415, "text/csv"),
        (body(RECORD | {"cat": [0]}), JSON, 400, 'has "cat", and the model was trained without it'),
        (
            body(RECORD | {"dynamic_feat": [[0.0] * 64]}),
            JSON,
            400,
            'has "dynamic_feat", and the model was trained without it',
        ),
        (body(RECORD, num_samples=0), JSON, 400, "num_samples is 0, not a whole number from 1"),
        (body(RECORD, num_samples="50"), JSON, 400, "num_samples is '50'"),
        (body(RECORD, output_types=["median"]), JSON, 400, "output_types is ['median'], not a"),
        (body(RECORD, output_types="mean"), JSON, 400, "'mean', 'quantiles', 'samples'"),
        (body(RECORD, quantiles=["2"]), JSON, 400, "quantiles has '2', which is no number between"),
        (body(RECORD, quantiles="0.5"), JSON, 400, "quantiles is '0.5', not a list"),
        ('{"instances": [{}], "configuration": [1]}', JSON, 400, "configuration is [1], not an"),
    ],
)
def test_a_wrong_request_is_told(
    plain: Server, content: bytes | str, content_type: str, status: int, words: str
) -> None:
    answer = plain.invoke(content, content_type)

    assert answer.status == status
    assert words in answer.json["message"]


def test_an_answer_that_nobody_makes_is_told(plain: Server) -> None:
    assert plain.invoke(body(RECORD), JSON, "text/csv").status == 406


def test_batch_transform_is_told_to_send_one_series_at_a_time(plain: Server) -> None:
    said = plain.request("GET", "/execution-parameters").json

    assert said["BatchStrategy"] == "SINGLE_RECORD"


def test_the_environment_configures_batch_transform_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    wanted = '{"num_samples": 7, "output_types": ["samples"]}'
    monkeypatch.setitem(os.environ, "DEEPAR_INFERENCE_CONFIG", wanted)
    server = serve(saved(PLAIN, tmp_path))

    # As transform jobs ask: a line at a time.
    answer = server.invoke(json.dumps(RECORD), LINES, LINES)
    assert answer.content_type == LINES
    assert sorted(answer.json) == ["samples"]
    assert np.shape(answer.json["samples"]) == (7, 4)
    [forecast] = predictions(server.invoke(body(RECORD), JSON))
    assert sorted(forecast) == ["mean", "quantiles"]


def test_the_environment_says_nothing_or_what_it_should() -> None:
    assert of_environment(None) == of_environment("") == of_environment("{}") == Configuration()
    for wrong in ("{", '{"num_samples": -1}', "[]"):
        with pytest.raises(ModelError, match="DEEPAR_INFERENCE_CONFIG is"):
            of_environment(wrong)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: (d / "model_algo-1-0000.params").unlink(), "has no model_algo-1-0000.params"),
        (lambda d: (d / "model_algo-1-config.json").unlink(), "trained cannot be read here"),
        (lambda d: (d / "model_algo-1-config.json").write_text("{}"), "does not say 'likelihood'"),
        (lambda d: (d / "model_algo-1-config.json").write_text("{"), "config.json cannot be read"),
        (lambda d: (d / "model_algo-1-0000.params").write_bytes(b"x"), "params cannot be read"),
        (
            lambda d: mxnet_ndarray.save(
                d / "model_algo-1-0000.params", {"arg:a": np.zeros(1, np.float32)}
            ),
            "has no array 'deepar_",
        ),
    ],
)
def test_what_cannot_be_served_is_told(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    folder = saved(PLAIN, tmp_path) / "model"
    change(folder)

    with pytest.raises(ModelError) as caught:
        DeepAR().load(folder)
    assert words in str(caught.value)

"""inference.py in front of SavedModels, batching, several processes, and many models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

# As the SDK's documentation writes it, but for the pictures' type.
PAIR = """
import json
from arithmetic import double

def input_handler(data, context):
    if context.request_content_type == "application/json":
        return data.read().decode("utf-8")
    if context.request_content_type == "text/csv":
        values = [double(float(x)) for x in data.read().decode("utf-8").split(",")]
        return json.dumps({"instances": values})
    raise ValueError(f"unsupported content type {context.request_content_type}")

def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    answer = response.json() | {"of": context.model_name, "uri": context.rest_uri}
    return json.dumps(answer), context.accept_header
"""
HANDLER = """
import json
import requests

def handler(data, context):
    asked = json.loads(data.read())
    if asked == "context":
        return json.dumps(context._asdict()), "application/json"
    place = context.rest_uri.rpartition("/")[0]
    if asked == "status":
        return requests.get(f"{place}/half_plus_two").content, "application/json"
    if asked == "metadata":
        return requests.get(f"{place}/half_plus_two/versions/124/metadata").text, "text/plain"
    if asked == "nowhere":
        found = requests.get(f"{place}/absent")
        return json.dumps([found.status_code, found.json()]), "application/json"
    half = requests.post(context.rest_uri, json={"instances": asked}).json()["predictions"]
    body = (part for part in [b'{"inputs": ', json.dumps(half).encode(), b"}"])
    return requests.post(f"{place}/whole:predict", data=body).content, "application/json"
"""


@pytest.fixture(scope="module")
def pair(with_models: Callable[..., Any]) -> Any:
    """Handlers before and behind the model, a module of code/lib, and batches."""
    container = with_models(
        "half_plus_two",
        code={
            "inference.py": PAIR,
            "lib/arithmetic.py": "def double(x):\n    return 2 * x\n",
            "requirements.txt": "no-such-package-because-lib-goes-first==1\n",
        },
    )
    container.variables |= {
        "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
        "SAGEMAKER_TFS_MAX_BATCH_SIZE": "4",
        "SAGEMAKER_GUNICORN_THREADS": "8",
        "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
        "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
    }
    return container.serve(), container


def test_handlers_stand_before_and_behind_the_model(pair: Any) -> None:
    endpoint, _ = pair

    status, answer = endpoint.ask("0.5,1.0,2.5", "text/csv", Accept="application/json")

    assert status == 200
    assert answer["predictions"] == [2.7, 3.2, 4.7]
    assert answer["of"] is None
    assert answer["uri"].endswith("/v1/models/half_plus_two:predict")


def test_what_a_handler_raises_is_the_error(pair: Any) -> None:
    endpoint, _ = pair

    assert endpoint.ask("<a/>", "application/xml") == (
        500,
        {"error": "unsupported content type application/xml"},
    )
    status, answer = endpoint.ask("", "application/json")
    assert status == 500
    assert "The document is empty" in answer["error"]
    status, answer = endpoint.ask({"signature_name": "absent", "instances": [1.0]})
    assert status == 500
    assert "not found in signature def" in json.loads(answer["error"])["error"]


def test_requests_at_the_same_time_keep_their_own_answers(pair: Any) -> None:
    endpoint, container = pair

    def ask(number: int) -> Any:
        instances = [float(number + row) for row in range(1 + number % 3)]
        return instances, endpoint.ask({"instances": instances})

    with ThreadPoolExecutor(8) as pool:
        for instances, (status, answer) in pool.map(ask, range(60)):
            assert status == 200
            expected = [x / 2 + 2.2 for x in instances]
            assert answer["predictions"] == pytest.approx(expected)
    assert "Workers: 2" in container.log  # as many as there were to be instances


def test_a_handler_reaches_every_model_by_rest(with_models: Callable[..., Any]) -> None:
    endpoint = with_models("half_plus_two", "whole", code={"inference.py": HANDLER}).serve()

    assert endpoint.ask([1.0, 2.0]) == (200, {"outputs": 5.9})
    status, context = endpoint.attributes("tfs-model-name=whole,tfs-model-version=1", '"context"')
    assert status == 200
    assert context["rest_uri"].endswith("/v1/models/whole/versions/1:predict")
    assert (context["model_name"], context["model_version"]) == ("whole", "1")
    assert context["custom_attributes"] == "tfs-model-name=whole,tfs-model-version=1"
    assert (context["request_content_type"], context["content_length"]) == ("application/json", 9)
    states = endpoint.ask('"status"')[1]["model_version_status"]
    assert [(each["version"], each["state"]) for each in states] == [
        ("124", "AVAILABLE"),
        ("123", "AVAILABLE"),
    ]
    described = json.loads(endpoint.raw('"metadata"', "application/json")[1])
    assert described["model_spec"] == {
        "name": "half_plus_two",
        "signature_name": "",
        "version": "124",
    }
    signatures = described["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert endpoint.ask('"nowhere"')[1][0] == 404


def test_a_script_without_handlers_is_said(with_models: Callable[..., Any]) -> None:
    container = with_models("whole", code={"inference.py": "def model_fn(folder):\n    pass\n"})

    status, text = container.serve().get("/ping")

    assert status == 500
    assert "neither handler(data, context) nor both of input_handler" in text


def test_many_models_behind_one_container(new_container: Callable[[], Any], models: Path) -> None:
    container = new_container()
    for name, model in (("plain", "half_plus_two"), ("scripted", "network")):
        folder = container.base / "models" / name / "model"
        shutil.copytree(models / model, folder / model)
    container.write("models/scripted/model/code/inference.py", PAIR)
    container.write("models/scripted/model/code/lib/arithmetic.py", "double = float\n")
    container.write("models/empty/model/notes.md", "")
    container.variables["SAGEMAKER_MULTI_MODEL"] = "true"
    endpoint = container.serve()
    loaded = {
        name: endpoint.ask(
            {"model_name": name, "url": f"/opt/ml/models/{name}/model"}, path="/models"
        )
        for name in ("plain", "scripted", "empty")
    }

    assert [status for status, _ in loaded.values()] == [200, 200, 500]
    assert "no SavedModel bundles found" in loaded["empty"][1]["message"]
    assert endpoint.ask({"instances": [1.0]}, path="/models/plain/invoke") == (
        200,
        {"predictions": [2.7]},
    )
    status, answer = endpoint.ask({"instances": [[1, 2, 3]]}, path="/models/scripted/invoke")
    assert (status, answer["predictions"]) == (200, [[4.0, -1.0]])
    assert endpoint.ask({"instances": ["a"]}, path="/models/plain/invoke")[0] == 400

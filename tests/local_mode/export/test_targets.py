"""The files of each target, from a description: held against AWS's models, and by their meaning."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some
from sagelocal.domain.models import ADDITIONAL_FOLDER, MODELS_FOLDER, ModelData
from sagelocal.engine.model_shelf import ModelShelf
from sagelocal.export.compose import compose_files
from sagelocal.export.description import (
    FILL_IN,
    STOP_SECONDS,
    ExportError,
    Files,
    Machine,
    Service,
    Stage,
    architecture,
)
from sagelocal.export.ecs import ecs_files, fargate_size
from sagelocal.export.fetching import steps
from sagelocal.export.function import function_files
from sagelocal.export.guide import filled_in, guide
from sagelocal.export.kserve import kserve_files
from sagelocal.export.kubernetes import kubernetes_files
from sagelocal.export.ping import ping_command
from sagelocal.export.targets import TARGETS, target_named

from tests.local_mode.engine.hosting.conftest import tar_gz
from tests.local_mode.export.conftest import GIB, IMAGE, ROLE, MakeService

Objections = Callable[[str, str, str], list[str]]
GPUS = Machine(8, 32 * GIB, gpus=2)
SERVERLESS = Machine(2, 2 * GIB, serverless_concurrency=7)
PREFIX = Files(ModelData("s3://models/toy/", "prefix"), "s3://models/toy/", "model")
OBJECT = Files(ModelData("s3://models/toy.pt", "object"), "s3://models/toy.pt", "model/toy.pt")
MORE = Files(
    ModelData("s3://models/words.tar.gz", "archive", f"{ADDITIONAL_FOLDER}/words"),
    "s3://models/words.tar.gz",
    "additional-words.tar.gz",
)
CHAIN = (
    Stage(
        IMAGE, "sagelocal/scale:1", (replace(MORE, stage="container-1"),), {}, "container-1", 8081
    ),
    Stage(
        IMAGE,
        "sagelocal/toy:1",
        (
            Files(
                ModelData("s3://models/toy.tar.gz", "archive"),
                "s3://models/toy.tar.gz",
                "container-2-model.tar.gz",
                "container-2",
            ),
        ),
        {"COLOUR": "blue"},
        "container-2",
        8082,
    ),
)
SHELF = Files(ModelData("s3://models/", "prefix", MODELS_FOLDER), "s3://models/", "models")
MANY: dict[str, Any] = {"files": (SHELF,), "name": "container"}
KINDS: dict[str, dict[str, Any]] = {
    "archive": {},
    "prefix": {"files": (PREFIX,)},
    "object": {"files": (OBJECT, MORE)},
    "nothing": {"files": ()},
    "gpus": {"machine": GPUS},
    "serverless": {"machine": SERVERLESS},
    "pipeline": {"stages": CHAIN},
    "many": MANY,
    "to-fill-in": {"role": f"arn:aws:iam::{FILL_IN}:role/{FILL_IN}"},
}
kinds = pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)


@kinds
def test_ecs_takes_the_task_and_the_service(
    changes: Any, make_service: MakeService, objections: Objections
) -> None:
    files = ecs_files(make_service(**changes))

    assert objections("ecs", "RegisterTaskDefinition", files["task-definition.json"]) == []
    assert objections("ecs", "CreateService", files["service.json"]) == []
    scaling = "application-autoscaling"
    assert objections(scaling, "RegisterScalableTarget", files["scalable-target.json"]) == []
    assert objections(scaling, "PutScalingPolicy", files["scaling-policy.json"]) == []


def test_a_task_fetches_and_unpacks_the_model_before_it_serves(make_service: MakeService) -> None:
    task = json.loads(ecs_files(make_service())["task-definition.json"])
    fetch, unpack, serve = task["containerDefinitions"]

    assert fetch["command"][-2:] == ["s3://models/toy/model.tar.gz", "/archives/model.tar.gz"]
    assert unpack["dependsOn"] == [{"containerName": "fetch-model", "condition": "SUCCESS"}]
    assert serve["dependsOn"] == [{"containerName": "unpack-model", "condition": "SUCCESS"}]
    assert serve["mountPoints"] == [
        {"sourceVolume": "model", "containerPath": "/opt/ml/model", "readOnly": True}
    ]
    assert [each["essential"] for each in (fetch, unpack, serve)] == [False, False, True]
    assert (task["cpu"], task["memory"]) == ("2048", "8192")
    told = {each["name"]: each["value"] for each in serve["environment"]}
    assert told == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "COLOUR": "blue",
        "PRICE": "5 $ and $$(COLOUR) ${HOME}",
    }
    assert (task["taskRoleArn"], serve["stopTimeout"]) == (ROLE, 30)


def test_a_task_with_gpus_runs_on_instances(make_service: MakeService) -> None:
    files = ecs_files(make_service(machine=GPUS))
    task = json.loads(files["task-definition.json"])

    assert task["requiresCompatibilities"] == ["EC2"]
    assert json.loads(files["service.json"])["launchType"] == "EC2"
    assert task["containerDefinitions"][-1]["resourceRequirements"] == [
        {"type": "GPU", "value": "2"}
    ]


def test_a_task_has_every_container_of_a_pipeline_and_what_hands_on(
    make_service: MakeService,
) -> None:
    task = json.loads(ecs_files(make_service(stages=CHAIN))["task-definition.json"])
    *before, first, second, front = task["containerDefinitions"]

    assert [each["name"] for each in before] == [
        "fetch-container-1-additional-words",
        "unpack-container-1-additional-words",
        "fetch-container-2-model",
        "unpack-container-2-model",
    ]
    told = [{v["name"]: v["value"] for v in each["environment"]} for each in (first, second)]
    assert [each["SAGEMAKER_BIND_TO_PORT"] for each in told] == ["8081", "8082"]
    assert [each["SAGEMAKER_SAFE_PORT_RANGE"] for each in told] == ["20000-20999", "21000-21999"]
    assert ("portMappings" in first, "portMappings" in second) == (False, False)
    assert (front["name"], front["portMappings"][0]["containerPort"]) == ("toy-1", 8080)
    assert front["command"][-2:] == ["8080", "8081,8082"]
    assert front["dependsOn"] == [
        {"containerName": each["name"], "condition": "START"} for each in (first, second)
    ]
    assert second["mountPoints"] == [
        {"sourceVolume": "container-2-model", "containerPath": "/opt/ml/model", "readOnly": True}
    ]


def test_what_chooses_among_many_models_has_them_too(make_service: MakeService) -> None:
    service = make_service(**MANY)
    task = json.loads(ecs_files(service)["task-definition.json"])
    fetch, unpack, container, loader = task["containerDefinitions"]
    deployment = yaml.safe_load(kubernetes_files(service)["deployment.yaml"])
    before, after = deployment["spec"]["template"]["spec"]["containers"]

    assert fetch["command"][-3:] == ["--recursive", "s3://models/", "/archives/models/"]
    assert (container["name"], loader["name"]) == ("toy-1-container", "toy-1")
    assert loader["mountPoints"] == container["mountPoints"]
    assert loader["portMappings"][0]["containerPort"] == 8090
    assert loader["command"][-3:] == ["8090", "8080", "/opt/ml/models"]
    assert {"name": "SAGEMAKER_MULTI_MODEL", "value": "true"} in container["environment"]
    assert unpack["dependsOn"] == [{"containerName": "fetch-models", "condition": "SUCCESS"}]
    assert before["volumeMounts"] == after["volumeMounts"]
    assert before["ports"][0]["containerPort"] == 8090
    assert after["livenessProbe"]["httpGet"]["port"] == 8080


def test_every_archive_is_unpacked_where_the_container_is_told_to_find_it(
    make_service: MakeService, tmp_path: Path
) -> None:
    archives, models = tmp_path / "archives" / "models", tmp_path / "models"
    for path in (archives / "deep", models):
        path.mkdir(parents=True)
    (archives / "one.tar.gz").write_bytes(tar_gz({"weights": b"1"}))
    (archives / "deep" / "a b.tar.gz").write_bytes(tar_gz({"weights": b"2"}))
    (archives / "notes.txt").write_text("no archive")
    (_, unpack) = steps(make_service(**MANY))
    shell, dash, text = unpack.arguments
    text = text.replace("/archives/models", str(archives)).replace("/opt/ml/models", str(models))

    subprocess.run([shell, dash, text], check=True, capture_output=True)

    found = {p.relative_to(models).as_posix(): p.read_bytes() for p in models.rglob("weights")}
    assert found == {
        f"{ModelShelf.name('one.tar.gz')}/model/weights": b"1",
        f"{ModelShelf.name('deep/a b.tar.gz')}/model/weights": b"2",
    }
    assert len(list(models.iterdir())) == 2


def test_the_containers_of_a_pipeline_share_the_pods_machine(make_service: MakeService) -> None:
    deployment = yaml.safe_load(kubernetes_files(make_service(stages=CHAIN))["deployment.yaml"])
    front, *stages = deployment["spec"]["template"]["spec"]["containers"]

    assert [each["name"] for each in stages] == ["toy-1-container-1", "toy-1-container-2"]
    assert [each["resources"]["limits"]["memory"] for each in stages] == ["4096Mi", "4096Mi"]
    assert (front["name"], front["readinessProbe"]["httpGet"]["port"]) == ("toy-1", 8080)
    assert all("readinessProbe" not in each for each in stages)


def test_the_container_of_a_pipeline_that_hangs_is_the_one_that_is_restarted(
    make_service: MakeService,
) -> None:
    deployment = yaml.safe_load(kubernetes_files(make_service(stages=CHAIN))["deployment.yaml"])
    front, *stages = deployment["spec"]["template"]["spec"]["containers"]

    for probe in ("startupProbe", "livenessProbe"):
        asked = [
            (each[probe]["httpGet"]["path"], each[probe]["httpGet"]["port"]) for each in stages
        ]
        assert asked == [("/ping", 8081), ("/ping", 8082)]
        assert probe not in front


def test_the_containers_of_a_pipeline_end_after_what_asks_them(make_service: MakeService) -> None:
    deployment = yaml.safe_load(kubernetes_files(make_service(stages=CHAIN))["deployment.yaml"])
    front, *stages = deployment["spec"]["template"]["spec"]["containers"]

    waits = [each["lifecycle"]["preStop"]["sleep"]["seconds"] for each in stages]
    assert "lifecycle" not in front
    assert all(0 < each < STOP_SECONDS for each in waits)


@pytest.mark.parametrize("files", [ecs_files, kubernetes_files, kserve_files])
def test_a_gpu_is_not_shared_where_it_belongs_to_a_container(
    files: Callable[[Service], Any], make_service: MakeService
) -> None:
    with pytest.raises(ExportError, match=r"2 GPU\(s\), and there a GPU belongs to one container"):
        files(make_service(stages=CHAIN, machine=GPUS))


@pytest.mark.parametrize(
    ("machine", "size"),
    [
        (Machine(2, 4 * GIB), (2048, 4096)),
        (Machine(2, 3 * GIB), (2048, 4096)),
        (Machine(1, 1 * GIB), (1024, 2048)),
        (Machine(4, 7.5 * GIB), (4096, 8192)),  # type: ignore[arg-type]  # as it is computed
        (Machine(2, 16 * GIB), (2048, 16384)),
        (Machine(2, 17 * GIB), (4096, 17408)),
        (Machine(16, 64 * GIB), (16384, 65536)),
        (Machine(16, 128 * GIB), None),
        (Machine(36, 60 * GIB), None),
        (Machine(0.75, 768 * 1024**2), (1024, 2048)),
    ],
)
def test_the_smallest_task_of_fargate_that_is_large_enough(
    machine: Machine, size: tuple[int, int] | None
) -> None:
    assert fargate_size(machine) == size


@given(some.floats(0.1, 16), some.integers(256, 120 * 1024))
def test_a_task_of_fargate_has_at_least_what_was_asked_for(vcpus: float, mib: int) -> None:
    size = fargate_size(Machine(vcpus, mib * 1024**2))

    assert size is not None
    cpu, memory = size
    assert cpu >= vcpus * 1024
    assert memory >= mib
    assert 2 <= memory / cpu <= 8 + 0.01 or cpu in (256, 1024)


def _why_no_function(service: Service) -> str | None:
    """What stops the export to Lambda of one of the kinds."""
    if service.has_many_models:
        return "many models (Mode MultiModel), and nothing in a function of AWS Lambda loads them"
    if service.is_pipeline:
        return "a pipeline of 2 containers, and a function of AWS Lambda is one container"
    return "2 GPU(s), and AWS Lambda has none" if service.machine.gpus else None


@kinds
def test_lambda_takes_the_function(
    changes: Any, make_service: MakeService, objections: Objections
) -> None:
    service = make_service(**changes)
    why = _why_no_function(service)
    if why:
        with pytest.raises(ExportError, match=re.escape(why)):
            function_files(service)
        return
    files = function_files(service)

    said = objections("lambda", "CreateFunction", files["create-function.json"])
    # The one thing that its model knows to be no role.
    assert (FILL_IN in service.role) == bool(said)
    assert all(FILL_IN in each for each in said)
    url = files["create-function-url-config.json"]
    assert objections("lambda", "CreateFunctionUrlConfig", url) == []
    if service.machine.serverless_concurrency:
        text = files["put-function-concurrency.json"]
        assert objections("lambda", "PutFunctionConcurrency", text) == []
        assert json.loads(text)["ReservedConcurrentExecutions"] == 7


def test_a_function_has_no_variables_that_lambda_reserves(make_service: MakeService) -> None:
    function = json.loads(function_files(make_service())["create-function.json"])

    assert set(function["Environment"]["Variables"]) == {"COLOUR", "PRICE"}
    assert function["MemorySize"] == 8192
    assert function["Timeout"] == 60


def test_a_function_has_no_more_memory_than_there_is(make_service: MakeService) -> None:
    files = function_files(make_service(machine=Machine(4, 16 * GIB)))

    assert json.loads(files["create-function.json"])["MemorySize"] == 10240


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"a.b": "1"}, "takes no variable named 'a.b'"),
        ({"X": "1"}, "takes no variable named 'X'"),
        ({"LARGE": "x" * 5000}, "5,013 bytes, and AWS Lambda takes 4,096"),
    ],
)
def test_an_environment_that_lambda_does_not_take_is_told(
    environment: dict[str, str], words: str, make_service: MakeService
) -> None:
    with pytest.raises(ExportError, match=words):
        function_files(make_service(environment=environment))


def test_the_image_of_a_function_has_the_models_where_the_container_looks(
    make_service: MakeService,
) -> None:
    text = function_files(make_service(files=(PREFIX, MORE)))["Dockerfile"]

    assert "\nFROM sagelocal/toy:1\n" in text
    assert "\nCOPY model /opt/ml/model\n" in text
    assert f"\nCOPY additional-words {ADDITIONAL_FOLDER}/words\n" in text


def test_a_pod_has_the_model_the_probes_and_the_resources(make_service: MakeService) -> None:
    deployment = yaml.safe_load(kubernetes_files(make_service())["deployment.yaml"])
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert [each["name"] for each in pod["initContainers"]] == ["fetch-model", "unpack-model"]
    assert container["volumeMounts"] == [
        {"name": "model", "mountPath": "/opt/ml/model", "readOnly": True}
    ]
    assert container["args"] == ["serve"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "8192Mi"}
    assert container["startupProbe"] == {
        "httpGet": {"path": "/ping", "port": 8080},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 48,
    }
    assert pod["terminationGracePeriodSeconds"] == 30
    told = {each["name"]: each["value"] for each in container["env"]}
    assert told["PRICE"] == "5 $$ and $$$$(COLOUR) $${HOME}"
    assert "replicas" not in deployment["spec"]


def test_the_autoscaler_begins_with_what_the_endpoint_has(make_service: MakeService) -> None:
    files = kubernetes_files(make_service(replicas=3, most_replicas=9))
    scaler = yaml.safe_load(files["autoscaler.yaml"])["spec"]

    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 9)
    assert scaler["scaleTargetRef"]["name"] == "toy-1"


def test_an_inference_service_serves_by_the_container_that_kserve_looks_for(
    make_service: MakeService,
) -> None:
    files = kserve_files(make_service(machine=GPUS))
    predictor = yaml.safe_load(files["inferenceservice.yaml"])["spec"]["predictor"]

    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert [each["name"] for each in predictor["initContainers"]] == ["fetch-model", "unpack-model"]


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("Toy", "toy"),
        ("1-toy", "endpoint-1-toy"),
        ("a" * 49 + "-b", "a" * 49),
        ("x" * 63, "x" * 50),
    ],
)
def test_objects_are_named_as_dns_allows(
    endpoint: str, name: str, make_service: MakeService
) -> None:
    assert make_service(endpoint=endpoint).name == name


def test_credentials_are_handed_on_where_the_container_reads_s3(make_service: MakeService) -> None:
    service = make_service(environment={"SAGEMAKER_SUBMIT_DIRECTORY": "s3://code/source.tar.gz"})
    composed = yaml.safe_load(compose_files(service)["docker-compose.yml"])
    told = composed["services"]["toy-1"]["environment"]

    assert told["AWS_SECRET_ACCESS_KEY"] is None
    assert "SAGEMAKER_SUBMIT_DIRECTORY names something in S3" in guide(
        service, TARGETS["compose"], {}, brought=False
    )


@pytest.mark.parametrize("name", TARGETS)
@kinds
def test_the_guide_names_the_files_and_what_to_fill_in(
    name: str, changes: Any, make_service: MakeService
) -> None:
    service = make_service(**changes, not_exported=("VpcConfig",))
    if name == "lambda" and _why_no_function(service):
        return
    texts = TARGETS[name].files(service)
    text = guide(service, TARGETS[name], texts, brought=True)

    inputs = {each for each in texts if each.endswith(".json")}
    assert {line.partition("file://")[2] for line in text.splitlines() if "file://" in line} == (
        inputs
    )
    for file, values in filled_in(texts).items():
        assert f"- {file}: {', '.join(values)}" in text
    assert (FILL_IN in text) == any(FILL_IN in each for each in texts.values())
    assert "the files here do not: VpcConfig." in text
    brought = {each.here for each in service.files}
    copied = {line.split()[-2] for line in text.splitlines() if line.startswith("aws s3 cp")}
    assert copied == (set() if TARGETS[name].brings_model else brought)


@pytest.mark.parametrize(
    ("name", "meant"), [("composer", "compose"), ("k8s", "kubernetes"), ("Lambda", "lambda")]
)
def test_an_unknown_target_is_told_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(ExportError, match=f"no target '{name}'; did you mean {meant}\\?"):
        target_named(name)


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [("ml.c7gn.large", "arm64"), ("ml.g5g.xlarge", "arm64"), ("ml.g4dn.xlarge", "amd64")],
)
def test_the_architecture_of_instance_types(instance_type: str, expected: str) -> None:
    assert architecture(instance_type) == expected


@pytest.fixture(params=[200, 503])
def pinged(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The port of a server, and what it answers to /ping."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/ping" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, request.param
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("without", [(), ("curl",), ("curl", "wget")])
def test_ping_is_asked_with_what_there_is(
    without: tuple[str, ...], pinged: tuple[int, int]
) -> None:
    port, status = pinged
    missing = "".join(f"{name}() {{ return 127; }}; " for name in without)

    done = subprocess.run(["sh", "-c", missing + ping_command(port)], capture_output=True)

    assert (done.returncode == 0) == (status == 200)

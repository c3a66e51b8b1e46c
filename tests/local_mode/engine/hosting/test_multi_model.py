"""Endpoints with many models: the plane's side and the container's, with real models in between."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

IMAGE = "sagelocal/base:1"
BUCKET = "models"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"

# Answers with what its folder says, or does what the body tells it.
SCRIPT = """
import json, os, pathlib, time

BALLAST = []

def model_fn(model_dir):
    folder = pathlib.Path(model_dir)
    if (folder / "broken").exists():
        raise ValueError("the weights are torn")
    if (folder / "seconds").exists():
        time.sleep(float((folder / "seconds").read_text()))
    if (folder / "mebibytes").exists():
        BALLAST.append(os.urandom(4096) * (int((folder / "mebibytes").read_text()) * 256))
    return (folder / "word").read_text() if (folder / "word").exists() else "nothing"

def transform_fn(model, body, content_type, accept, context):
    word = body if isinstance(body, str) else body.decode()
    if word == "pid":
        return str(os.getpid()), "text/plain"
    if word == "headers":
        return json.dumps(context.get_all_request_header()), "application/json"
    if word == "environment":
        return os.environ.get("SAGEMAKER_MULTI_MODEL", ""), "text/plain"
    if word.startswith("sleep "):
        time.sleep(float(word[6:]))
    if word == "die":
        os._exit(3)
    if word == "not found":
        context.set_response_status(404)
    return f"{model}: {word}", "text/plain"
"""


@dataclass
class Many:
    """An endpoint with many models, and what most tests do with it."""

    hosting: Any
    endpoint: str
    prefix: str
    container: Mapping[str, Any] = field(default_factory=dict)

    def put(self, target: str, **files: str) -> None:
        """An archive below the prefix, with the script and these files."""
        packed = io.BytesIO()
        content = {"code/inference.py": SCRIPT, **files}
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        self.put_bytes(target, packed.getvalue())

    def put_bytes(self, target: str, content: bytes) -> None:
        self.hosting.s3.put_object(Bucket=BUCKET, Key=self.prefix + target, Body=content)

    def delete(self, target: str) -> None:
        self.hosting.s3.delete_object(Bucket=BUCKET, Key=self.prefix + target)

    def invoke(self, target: str, body: str = "hello", **more: Any) -> str:
        answer: bytes = self.hosting.invoke(
            self.endpoint, body.encode(), TargetModel=target, ContentType="text/plain", **more
        )
        return answer.decode()

    def refused(self, target: str, body: str = "hello") -> dict[str, Any]:
        """The error that a call is answered with."""
        with pytest.raises(ClientError) as refused:
            self.invoke(target, body)
        return dict(refused.value.response)

    def invoke_until_served(self, target: str) -> str:
        """Its answer once it does not answer with an error any more."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.invoke(target)
            except ClientError:
                assert time.monotonic() < deadline, self.hosting.plane.log()
                time.sleep(0.05)

    def loads(self, target: str) -> int:
        """How often the containers of the endpoint have loaded a model, by their logs."""
        lines = [line for lines in self.hosting.log_lines(self.endpoint).values() for line in lines]
        return sum(f"({target}) loaded in" in line for line in lines)


def deploy(
    hosting: Any, name: str, *, config: Mapping[str, Any] | None = None, **more: Any
) -> Many:
    """An endpoint in service whose first model is called `first.tar.gz`."""
    many = Many(hosting, name, f"{name}/")
    many.put("first.tar.gz", word="first")
    environment = {
        "MODEL_SERVER_WORKERS": "1",
        **{key: more.pop(key) for key in list(more) if key.isupper()},
    }
    many.container = {
        "Image": IMAGE,
        "Mode": "MultiModel",
        "ModelDataUrl": f"s3://{BUCKET}/{many.prefix}",
        "Environment": environment,
        **({"MultiModelConfig": config} if config else {}),
    }
    hosting.deploy(name, many.container, **more)
    return many


@pytest.fixture(scope="module")
def many(many_models: Any) -> Many:
    """One endpoint for the tests that need nothing of their own; each has models of its own."""
    return deploy(many_models, "many")


@pytest.fixture
def start_many(start_many_models: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Starts a plane of its own; none may trip over what a test does to it."""
    started: list[Any] = []

    def start(**settings: Any) -> Any:
        started.append(start_many_models(**settings))
        return started[-1]

    yield start
    for hosting in started:
        hosting.plane.stop()
        assert "Traceback" not in hosting.plane.log(), hosting.plane.log()


def test_each_target_model_gives_its_own_answer(many: Many) -> None:
    many.put("a/one.tar.gz", word="one")
    many.put("a/two.tar.gz", word="two")
    assert many.invoke("a/one.tar.gz") == "one: hello"
    assert many.invoke("a/two.tar.gz") == "two: hello"
    assert many.invoke("/a/one.tar.gz") == "one: hello"


def test_a_model_is_loaded_once_for_many_calls(many: Many) -> None:
    many.put("once.tar.gz", word="once", seconds="0.3")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: many.invoke("once.tar.gz"), range(8)))
    assert answers == ["once: hello"] * 8
    assert many.loads("once.tar.gz") == 1


def test_the_container_is_told_its_mode_and_the_target(many: Many) -> None:
    assert many.invoke("first.tar.gz", "environment") == "true"
    headers = json.loads(many.invoke("first.tar.gz", "headers", CustomAttributes="trace=7"))
    assert headers["x-amzn-sagemaker-target-model"] == "first.tar.gz"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


def test_a_call_without_a_target_is_refused_with_its_request(many: Many) -> None:
    with pytest.raises(ClientError) as refused:
        many.hosting.invoke("many")
    response = refused.value.response
    request_id = response["ResponseMetadata"]["RequestId"]
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": f"Request {request_id} is missing a target model header.",
    }
    with pytest.raises(ClientError, match="is missing a target model header"):
        many.hosting.runtime.invoke_endpoint_with_response_stream(EndpointName="many", Body=b"")


def test_a_target_that_is_not_there_is_refused_until_it_is(many: Many) -> None:
    assert many.refused("later.tar.gz")["Error"] == {
        "Code": "ValidationError",
        "Message": "Failed to download model data(bucket: models, key: many/later.tar.gz). Please "
        "ensure that there is an object located at the URL and that the role passed to "
        "CreateModel has permissions to download the model.",
    }
    many.put("later.tar.gz", word="later")
    assert many.invoke("later.tar.gz") == "later: hello"


def test_a_loaded_model_outlives_its_archive_as_in_the_cloud(many: Many) -> None:
    many.put("brief.tar.gz", word="brief")
    many.invoke("brief.tar.gz")
    many.delete("brief.tar.gz")
    assert many.invoke("brief.tar.gz") == "brief: hello"


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("empty.tar.gz", b""),
        ("text.tar.gz", b"not an archive"),
        ("cut.tar.gz", b"\x1f\x8b\x08\x00broken"),
    ],
)
def test_an_object_that_is_no_archive_is_refused(many: Many, target: str, content: bytes) -> None:
    many.put_bytes(target, content)
    error = many.refused(target)["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(
        'Failed to extract model data archive for container "primary" from URL '
        f'"s3://models/many/{target}".'
    )
    many.put(target, word="mended")
    assert many.invoke(target) == "mended: hello"


@pytest.mark.parametrize("name", ["../../escaped", "/etc/escaped"])
def test_an_archive_does_not_leave_its_folder(many: Many, name: str) -> None:
    many.put("evil.tar.gz", **{name: "escaped"})
    error = many.refused("evil.tar.gz")["Error"]
    assert "points outside the archive" in error["Message"]
    assert not list(Path(many.hosting.plane.data_dir).rglob("escaped"))


def test_a_target_does_not_leave_the_prefix(many: Many) -> None:
    many.hosting.s3.put_object(Bucket=BUCKET, Key="secret.tar.gz", Body=b"secret")
    assert "key: many/../secret.tar.gz" in many.refused("../secret.tar.gz")["Error"]["Message"]


def test_a_model_that_cannot_be_loaded_is_a_model_error_and_tried_again(many: Many) -> None:
    many.put("torn.tar.gz", broken="")
    refused = many.refused("torn.tar.gz")
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert refused["Error"]["Code"] == "ModelError"
    assert refused["OriginalStatusCode"] == 500
    assert "ValueError: the weights are torn" in refused["OriginalMessage"]
    assert many.invoke("first.tar.gz") == "first: hello"
    many.put("torn.tar.gz", word="whole")
    assert many.invoke("torn.tar.gz") == "whole: hello"


def test_a_404_of_the_model_itself_is_its_answer(many: Many) -> None:
    refused = many.refused("first.tar.gz", "not found")
    assert (refused["OriginalStatusCode"], refused["OriginalMessage"]) == (404, "first: not found")
    assert many.loads("first.tar.gz") == 1


def test_a_model_that_dies_answers_the_next_call_and_harms_no_other(many: Many) -> None:
    many.put("deadly.tar.gz", word="deadly")
    many.invoke("deadly.tar.gz")
    before = many.invoke("first.tar.gz", "pid")
    assert "Worker died." in many.refused("deadly.tar.gz", "die")["OriginalMessage"]
    assert many.invoke("deadly.tar.gz") == "deadly: hello"
    assert many.invoke("first.tar.gz", "pid") == before


def test_an_image_without_the_label_is_refused_by_create_model(
    start_hosting: Callable[..., Any],
) -> None:
    hosting = start_hosting()
    container = {**hosting.container(), "Mode": "MultiModel", "ModelDataUrl": "s3://models/m/"}
    with pytest.raises(ClientError) as refused:
        hosting.configure("echo", container)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Your Ecr Image sagelocal/test-echo:1 does not contain required "
        "com.amazonaws.sagemaker.capabilities.multi-models=true Docker label(s).",
    }


def test_an_endpoint_may_be_there_before_its_models_are(many: Many) -> None:
    many.hosting.deploy("later", {**many.container, "ModelDataUrl": "s3://models/later/"})
    later = Many(many.hosting, "later", "later/")
    assert "later/first.tar.gz" in later.refused("first.tar.gz")["Error"]["Message"]
    later.put("first.tar.gz", word="first")
    assert later.invoke("first.tar.gz") == "first: hello"


def test_a_bucket_that_is_not_there_is_refused_by_create_model(many: Many) -> None:
    container = {**many.container, "ModelDataUrl": "s3://no-such-bucket/models/"}
    with pytest.raises(
        ClientError, match="Could not find model data at s3://no-such-bucket/models"
    ):
        many.hosting.configure("nothing", container)


def test_describe_model_shows_the_mode_and_the_cache_setting(many: Many) -> None:
    container = {**many.container, "MultiModelConfig": {"ModelCacheSetting": "Disabled"}}
    many.hosting.configure("shown", container)
    found = many.hosting.sagemaker.describe_model(ModelName="shown")["PrimaryContainer"]
    assert found["Mode"] == "MultiModel"
    assert found["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}
    assert found["ModelDataUrl"] == "s3://models/many/"


def test_models_make_room_for_one_another(many_models: Any) -> None:
    many = deploy(many_models, "tight", MODEL_SERVER_MODELS_MEMORY_IN_MB="150")
    for name in ("a", "b", "c"):
        many.put(f"{name}.tar.gz", word=name, mebibytes="50")
    assert many.invoke("a.tar.gz") == "a: hello"
    assert many.invoke("b.tar.gz") == "b: hello"
    assert many.invoke("a.tar.gz") == "a: hello"
    assert many.invoke("c.tar.gz") == "c: hello"
    assert many.loads("a.tar.gz") == 1
    assert many.invoke("b.tar.gz") == "b: hello"
    assert many.loads("b.tar.gz") >= 2


def test_a_model_that_is_busy_is_not_unloaded_for_another(many_models: Any) -> None:
    many = deploy(many_models, "busy", MODEL_SERVER_MODELS_MEMORY_IN_MB="100")
    many.put("a.tar.gz", word="a", mebibytes="60")
    many.put("b.tar.gz", word="b", mebibytes="60")
    many.invoke("a.tar.gz")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.invoke, "a.tar.gz", "sleep 1")
        time.sleep(0.3)
        assert many.invoke("b.tar.gz") == "b: hello"
        assert running.result() == "a: sleep 1"


def test_a_model_too_large_for_the_container_is_a_model_error(many_models: Any) -> None:
    many = deploy(many_models, "large", MODEL_SERVER_MODELS_MEMORY_IN_MB="60")
    many.put("large.tar.gz", mebibytes="120")
    refused = many.refused("large.tar.gz")
    assert refused["OriginalStatusCode"] == 507
    assert "too little memory" in refused["OriginalMessage"]
    assert many.invoke("first.tar.gz") == "first: hello"


def test_without_a_cache_a_model_goes_after_its_call(many_models: Any) -> None:
    many = deploy(many_models, "forgetful", config={"ModelCacheSetting": "Disabled"})
    assert many.invoke("first.tar.gz") == "first: hello"
    assert many.invoke("first.tar.gz") == "first: hello"
    assert many.loads("first.tar.gz") == 2


def test_a_model_that_loads_for_long_is_not_ready_and_then_it_is(
    start_many: Callable[..., Any],
) -> None:
    many = deploy(start_many(invocation_timeout_seconds=1), "slow")
    many.put("slow.tar.gz", word="slow", seconds="2.5")
    refused = many.refused("slow.tar.gz")
    assert refused["Error"]["Code"] == "ModelNotReadyException"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert many.invoke("first.tar.gz") == "first: hello"
    assert many.invoke_until_served("slow.tar.gz") == "slow: hello"
    assert many.loads("slow.tar.gz") == 1


def test_a_model_that_never_loads_is_given_up(start_many: Callable[..., Any]) -> None:
    many = deploy(start_many(model_load_timeout_seconds=1), "never")
    many.put("never.tar.gz", seconds="3600")
    refused = many.refused("never.tar.gz")
    assert refused["OriginalStatusCode"] == 0
    assert "was not loaded within 1 seconds" in refused["OriginalMessage"]


def test_models_are_spread_over_instances_each_on_one(many_models: Any) -> None:
    many = deploy(many_models, "spread", InitialInstanceCount=2)
    targets = [f"{n}.tar.gz" for n in range(8)]
    for target in targets:
        many.put(target, word=target)
        for _ in range(2):
            assert many.invoke(target) == f"{target}: hello"
        assert many.loads(target) == 1
    per_instance = [
        sum("loaded in" in line for line in lines)
        for lines in many.hosting.log_lines("spread").values()
    ]
    assert len(per_instance) == 2
    assert sum(per_instance) == 8


def test_a_multi_model_container_may_stand_in_a_pipeline(many_models: Any) -> None:
    many = Many(many_models, "chain", "chain/")
    many.put("one.tar.gz", word="one")
    many_models.put_model(
        {"code/inference.py": SCRIPT.encode(), "word": b"before"}, "before/model.tar.gz"
    )
    environment = {"MODEL_SERVER_WORKERS": "1"}
    many_models.deploy(
        "chain",
        {
            "Image": IMAGE,
            "ModelDataUrl": "s3://models/before/model.tar.gz",
            "Environment": environment,
        },
        {
            "Image": IMAGE,
            "Mode": "MultiModel",
            "ModelDataUrl": "s3://models/chain/",
            "Environment": environment,
        },
    )
    assert many.invoke("one.tar.gz") == "one: before: hello"


def test_loaded_models_answer_on_after_a_crash_of_the_plane(
    start_many: Callable[..., Any],
) -> None:
    hosting = start_many()
    many = deploy(hosting, "lasting", MODEL_SERVER_MODELS_MEMORY_IN_MB="150")
    many.put("old.tar.gz", word="old", mebibytes="60")
    process = many.invoke("first.tar.gz", "pid")
    many.invoke("old.tar.gz")
    hosting.plane.restart()
    assert many.invoke("first.tar.gz", "pid") == process
    assert many.loads("first.tar.gz") == 1
    many.put("new.tar.gz", word="new", mebibytes="120")
    assert many.invoke("new.tar.gz") == "new: hello"


def test_an_archive_half_unpacked_by_a_crash_is_unpacked_anew(
    start_many: Callable[..., Any],
) -> None:
    hosting = start_many()
    many = deploy(hosting, "half")
    many.put("slow.tar.gz", word="slow", seconds="1")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(many.invoke, "slow.tar.gz")
        time.sleep(0.3)
        hosting.plane.restart()
        assert isinstance(call.exception(), Exception)
    assert many.invoke("slow.tar.gz") == "slow: hello"


def test_an_update_serves_the_new_prefix(many_models: Any) -> None:
    many = deploy(many_models, "moving")
    assert many.invoke("first.tar.gz") == "first: hello"
    other = Many(many_models, "moving", "moved/")
    other.put("first.tar.gz", word="moved")
    many_models.configure("moved", {**many.container, "ModelDataUrl": "s3://models/moved/"})
    many_models.sagemaker.update_endpoint(EndpointName="moving", EndpointConfigName="moved")
    deadline = time.monotonic() + 30
    while many.invoke("first.tar.gz") != "moved: hello":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_container_that_dies_comes_back_and_loads_what_is_called(
    start_many: Callable[..., Any],
) -> None:
    hosting = start_many()
    many = deploy(hosting, "phoenix")
    many.invoke("first.tar.gz")
    script = SCRIPT.replace("os._exit(3)", "os.kill(os.getppid(), 9)")
    many.put("killer.tar.gz", **{"code/inference.py": script})
    with contextlib.suppress(ClientError):
        many.invoke("killer.tar.gz", "die")
    deadline = time.monotonic() + 30
    while many.loads("first.tar.gz") < 2:
        assert time.monotonic() < deadline
        assert many.invoke_until_served("first.tar.gz") == "first: hello"

"""`sagelocal export` of endpoints of a running plane."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from sagelocal.cli.main import main
from sagelocal.engine.model_shelf import ModelShelf
from sagelocal.export.targets import TARGETS

from tests.local_mode.engine.hosting.conftest import BUCKET, ECHO, IMAGES, Hosting
from tests.local_mode.export.conftest import IMAGE, ROLE


@pytest.fixture(scope="module")
def hosting(start_plane_for_all: Callable[..., Any]) -> Hosting:
    """A plane that the command finds, with endpoints of several kinds; none has to be healthy."""
    plane = start_plane_for_all(containers_dir=str(IMAGES))
    state = {"url": plane.url, "pid": plane.pid}
    (plane.data_dir / "plane.json").write_text(json.dumps(state))
    hosting = Hosting(plane)
    hosting.create("echo", hosting.container(COLOUR="blue"), InitialInstanceCount=2)
    hosting.create("chain", hosting.container(), hosting.container())
    named = [{**hosting.container(), "ContainerHostname": name} for name in ("a", "b")]
    direct = {"InferenceExecutionConfig": {"Mode": "Direct"}}
    hosting.create("direct", *named, model=direct)
    hosting.create("own", hosting.container("my-own:2"))
    serverless = {"MemorySizeInMB": 3072, "MaxConcurrency": 6}
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="small",
        ProductionVariants=[
            {"VariantName": "one", "ModelName": "echo", "ServerlessConfig": serverless}
        ],
    )
    hosting.sagemaker.create_endpoint(EndpointName="small", EndpointConfigName="small")
    hosting.s3.put_object(Bucket=BUCKET, Key="loose/deep/weights", Body=b"loose")
    source = {
        "S3Uri": f"s3://{BUCKET}/loose/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    loose = {"Image": ECHO, "ModelDataSource": {"S3DataSource": source}}
    hosting.create("loose", loose, model={"EnableNetworkIsolation": True})
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="my-endpoint", ProductionVariants=[hosting.variant("echo", "blue")]
    )
    hosting.sagemaker.create_endpoint(EndpointName="my-endpoint", EndpointConfigName="my-endpoint")
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="two",
        ProductionVariants=[hosting.variant("echo", "a"), hosting.variant("loose", "b")],
    )
    hosting.sagemaker.create_endpoint(EndpointName="two", EndpointConfigName="two")
    return hosting


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Export = Callable[..., Done]


@pytest.fixture
def export(hosting: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Runs the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    hidden = {name: None for name in os.environ if name.startswith("AWS_")}
    place = {
        "SAGELOCAL_DATA": str(hosting.plane.data_dir),
        "SAGELOCAL_CONTAINERS_DIR": str(IMAGES),
        "AWS_REGION": "us-east-1",
    }

    def run(*arguments: str, **variables: str) -> Done:
        environment = {**hidden, **place, **variables}
        result = CliRunner().invoke(main, ["export", *arguments], env=environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


def files_of(folder: Path) -> list[str]:
    """The files below it by their paths, sorted."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_compose_has_the_image_and_the_model_of_the_endpoint(
    export: Export, tmp_path: Path
) -> None:
    done = export("echo", "--to", "compose")

    assert done.returncode == 0, done.stderr
    folder = tmp_path / "echo-compose"
    assert files_of(folder) == ["README.md", "docker-compose.yml", "model/weights"]
    assert done.stdout.splitlines() == [
        "echo-compose/README.md",
        "echo-compose/docker-compose.yml",
    ]
    assert f"Docker needs the image: `sagelocal build {ECHO[10:-2]}`" in done.stderr
    service = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]["echo"]
    assert service["image"] == ECHO
    assert service["environment"]["COLOUR"] == "blue"
    assert (folder / "model" / "weights").read_bytes() == b"\x00\x01\xff"
    assert (folder / "docker-compose.yml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "compose"])
def test_what_runs_elsewhere_takes_the_image_from_its_registry(
    target: str, export: Export, tmp_path: Path
) -> None:
    given = ("--image", IMAGE, "--model-s3", "s3://mine/models", "--role", ROLE)
    done = export("echo", "--to", target, "--output", "there", *given)

    assert done.returncode == 0, done.stderr
    texts = {name: (tmp_path / "there" / name).read_text() for name in TARGETS_FILES[target]}
    assert any(IMAGE in text for text in texts.values())
    assert any(ROLE in text for text in texts.values())
    guide = (tmp_path / "there" / "README.md").read_text()
    found = set(files_of(tmp_path / "there")) - {"README.md", *texts}
    if target == "lambda":
        assert found == {"model/weights"}
        assert f"FROM {ECHO}" in texts["Dockerfile"]
        assert "docker build -t team/toy:1 ." in guide
    else:
        assert found == {"model.tar.gz"}
        assert "aws s3 cp model.tar.gz s3://mine/models/model.tar.gz" in guide
        assert any("s3://mine/models/model.tar.gz" in text for text in texts.values())


TARGETS_FILES = {
    "ecs": [
        "task-definition.json",
        "service.json",
        "scalable-target.json",
        "scaling-policy.json",
    ],
    "kubernetes": [
        "serviceaccount.yaml",
        "deployment.yaml",
        "service.yaml",
        "autoscaler.yaml",
    ],
    "kserve": ["serviceaccount.yaml", "inferenceservice.yaml"],
    "lambda": ["Dockerfile", "create-function.json", "create-function-url-config.json"],
}


def test_as_many_tasks_as_the_endpoint_has_instances_now(export: Export, tmp_path: Path) -> None:
    assert export("echo", "--to", "ecs", "--image", IMAGE).returncode == 0

    service = json.loads((tmp_path / "echo-ecs" / "service.json").read_text())
    target = json.loads((tmp_path / "echo-ecs" / "scalable-target.json").read_text())
    assert service["desiredCount"] == 2
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)


def test_a_serverless_variant_has_its_memory_and_its_concurrency(
    export: Export, tmp_path: Path
) -> None:
    assert export("small", "--to", "lambda", "--image", IMAGE, "--role", ROLE).returncode == 0
    assert export("small", "--to", "ecs", "--image", IMAGE, "--role", ROLE).returncode == 0

    folder = tmp_path / "small-lambda"
    assert json.loads((folder / "create-function.json").read_text())["MemorySize"] == 3072
    concurrency = json.loads((folder / "put-function-concurrency.json").read_text())
    assert concurrency["ReservedConcurrentExecutions"] == 6
    task = json.loads((tmp_path / "small-ecs" / "task-definition.json").read_text())
    assert (task["cpu"], task["memory"]) == ("4096", "8192")


def test_a_model_of_many_files_comes_as_a_folder(export: Export, tmp_path: Path) -> None:
    assert export("loose", "--to", "compose").returncode == 0
    done = export("loose", "--to", "kubernetes", "--image", IMAGE)

    assert done.returncode == 0, done.stderr
    for folder in ("loose-compose", "loose-kubernetes"):
        assert (tmp_path / folder / "model" / "deep" / "weights").read_bytes() == b"loose"
    guide = (tmp_path / "loose-kubernetes" / "README.md").read_text()
    assert f"aws s3 cp --recursive model s3://{BUCKET}/loose/" in guide
    assert "to fill in (README.md says what): serviceaccount.yaml" in done.stderr


def test_data_of_the_same_name_stays_apart(
    export: Export, hosting: Hosting, tmp_path: Path
) -> None:
    hosting.s3.put_object(Bucket=BUCKET, Key="a/weights.bin", Body=b"a")
    hosting.put_model({"words": b"b"}, "b/model.tar.gz")
    words = {"S3Uri": f"s3://{BUCKET}/b/model.tar.gz", "S3DataType": "S3Object"}
    weights = {"S3Uri": f"s3://{BUCKET}/a/weights.bin", "S3DataType": "S3Object"}
    more = [
        {"ChannelName": "words", "S3DataSource": {**words, "CompressionType": "Gzip"}},
        {"ChannelName": "weights", "S3DataSource": {**weights, "CompressionType": "None"}},
    ]
    hosting.create("more", {**hosting.container(), "AdditionalModelDataSources": more})

    composed = export("more", "--to", "compose")
    given = ("--image", IMAGE, "--model-s3", "s3://mine/x", "--role", ROLE)
    there = export("more", "--to", "kserve", *given)

    assert (composed.returncode, there.returncode) == (0, 0), composed.stderr + there.stderr
    assert files_of(tmp_path / "more-compose") == [
        "README.md",
        "additional-weights/weights.bin",
        "additional-words/words",
        "docker-compose.yml",
        "model/weights",
    ]
    guide = (tmp_path / "more-kserve" / "README.md").read_text()
    assert re.findall(r"^aws s3 cp (\S+) (\S+)$", guide, re.MULTILINE) == [
        ("model.tar.gz", "s3://mine/x/model.tar.gz"),
        ("additional-words.tar.gz", "s3://mine/x/additional-words.tar.gz"),
        ("additional-weights/weights.bin", "s3://mine/x/additional-weights/weights.bin"),
    ]


def test_what_is_left_behind_is_told(export: Export, tmp_path: Path) -> None:
    done = export("two", "--to", "compose", "--variant", "b")

    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("not exported: EnableNetworkIsolation, variant a\n")
    guide = (tmp_path / "two-compose" / "README.md").read_text()
    assert "the files here do not: EnableNetworkIsolation, variant a." in guide


def test_an_endpoint_of_aws_is_exported_by_its_own_places(
    export: Export, hosting: Hosting, tmp_path: Path
) -> None:
    done = export(
        "own",
        "--cloud",
        "--to",
        "ecs",
        "--image",
        IMAGE,
        AWS_ENDPOINT_URL=hosting.plane.url,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="key",
    )

    assert done.returncode == 0, done.stderr
    assert not any("model" in name for name in files_of(tmp_path / "own-ecs"))
    assert "aws s3 cp" not in (tmp_path / "own-ecs" / "README.md").read_text()
    task = json.loads((tmp_path / "own-ecs" / "task-definition.json").read_text())
    assert task["taskRoleArn"] == "arn:aws:iam::000000000000:role/Test"
    assert hosting.data_url in task["containerDefinitions"][0]["command"]


def test_a_pipeline_comes_with_the_model_of_each_container(export: Export, tmp_path: Path) -> None:
    composed = export("chain", "--to", "compose")
    second = IMAGE.replace("toy:1", "words:2")
    given = ("--image", IMAGE, "--image", second, "--role", ROLE)
    there = export("chain", "--to", "kubernetes", *given)

    assert (composed.returncode, there.returncode) == (0, 0), composed.stderr + there.stderr
    folder = tmp_path / "chain-compose"
    assert files_of(folder) == [
        "README.md",
        "container-1-model/weights",
        "container-2-model/weights",
        "docker-compose.yml",
    ]
    assert "a pipeline of 2 containers" in " ".join((folder / "README.md").read_text().split())
    deployment = yaml.safe_load((tmp_path / "chain-kubernetes" / "deployment.yaml").read_text())
    _, *stages = deployment["spec"]["template"]["spec"]["containers"]
    assert [each["image"] for each in stages] == [IMAGE, second]
    guide = (tmp_path / "chain-kubernetes" / "README.md").read_text()
    assert re.findall(r"^aws s3 cp (\S+) ", guide, re.MULTILINE) == [
        "container-1-model.tar.gz",
        "container-2-model.tar.gz",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ecco", "--to", "ecs"), ("no endpoint 'ecco'", "in us-east-1; did you mean echo?")),
        (("echo", "--to", "ec2"), ("no target 'ec2'; did you mean ecs?", "There are: compose")),
        (
            ("chain", "--to", "lambda", "--image", IMAGE, "--image", IMAGE, "--role", ROLE),
            ("a pipeline of 2 containers, and a function of AWS Lambda is one", "--to ecs"),
        ),
        (
            ("chain", "--to", "ecs", "--image", IMAGE),
            ("--image is given 1 times, and there are 2 containers", "in their order"),
        ),
        (("direct", "--to", "ecs"), ("2 containers of which each call names one (Mode Direct)",)),
        (("two", "--to", "compose"), ("2 variants (a, b)", "choose it with --variant")),
        (("two", "--to", "compose", "--variant", "c"), ("no variant 'c'; it has: a, b",)),
        (
            ("echo", "--to", "ecs"),
            (f"the image {ECHO} is in no registry; run `sagelocal push {ECHO}`", "--image URI"),
        ),
        (("own", "--to", "kserve"), ("my-own:2 is in no registry", "`sagelocal push my-own:2`")),
        (
            ("own", "--to", "kubernetes", "--image", "localhost:5000/own:2"),
            ("localhost:5000/own:2 is in a registry of this machine",),
        ),
        (
            ("own", "--to", "ecs", "--image", "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:1"),
            ("is in a registry of this machine's control plane",),
        ),
        (
            ("own", "--to", "lambda", "--image", "ghcr.io/me/own:2"),
            ("ghcr.io/me/own:2 is not in ECR", "`sagelocal push IMAGE`"),
        ),
        (
            ("echo", "--to", "ecs", "--image", IMAGE, "--model-s3", "mine/models"),
            ("--model-s3 is not an S3 URI (s3://bucket/key): 'mine/models'",),
        ),
        (("echo", "--to", "compose", "--data", "nowhere"), ("start it with `sagelocal up`",)),
    ],
)
def test_what_cannot_be_exported_is_told_and_leaves_nothing(
    arguments: tuple[str, ...], words: tuple[str, ...], export: Export, tmp_path: Path
) -> None:
    done = export(*arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    for each in words:
        assert each in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_answers_for_one_of_a_registry_is_not_taken_for_it(
    export: Export, hosting: Hosting
) -> None:
    uri = "683313688378.dkr.ecr.us-east-1.amazonaws.com/test-echo:9"
    hosting.create("answered", hosting.container(uri))

    done = export("answered", "--to", "ecs")

    assert done.returncode == 1
    assert f"{uri} is answered here by {ECHO}, and that registry has another one" in done.stderr
    assert f"`sagelocal push {ECHO}`" in done.stderr


def test_an_endpoint_with_many_models_comes_with_all_of_them(
    export: Export, hosting: Hosting, tmp_path: Path
) -> None:
    hosting.put_model({"weights": b"1"}, "shelf/one.tar.gz")
    hosting.put_model({"weights": b"2"}, "shelf/deep/two.tar.gz")
    hosting.s3.put_object(Bucket=BUCKET, Key="shelf/notes.txt", Body=b"no archive")
    hosting.sagemaker.create_model(
        ModelName="many",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "test-echo-many",
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{BUCKET}/shelf",
        },
    )
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="many", ProductionVariants=[hosting.variant("many")]
    )
    hosting.sagemaker.create_endpoint(EndpointName="many", EndpointConfigName="many")

    done = export("many", "--to", "compose")
    elsewhere = export("many", "--to", "kubernetes", "--image", IMAGE, "--role", ROLE)
    function = export("many", "--to", "lambda", "--image", IMAGE, "--role", ROLE)

    assert (done.returncode, elsewhere.returncode) == (0, 0), done.stderr + elsewhere.stderr
    assert files_of(tmp_path / "many-compose") == sorted(
        [
            "README.md",
            "docker-compose.yml",
            f"models/{ModelShelf.name('one.tar.gz')}/model/weights",
            f"models/{ModelShelf.name('deep/two.tar.gz')}/model/weights",
        ]
    )
    services = yaml.safe_load((tmp_path / "many-compose" / "docker-compose.yml").read_text())
    front, container = services["services"].values()
    assert front["volumes"] == container["volumes"] == ["./models:/opt/ml/models:ro"]
    guide = (tmp_path / "many-kubernetes" / "README.md").read_text()
    assert f"aws s3 cp --recursive models s3://{BUCKET}/shelf/" in guide
    assert "X-Amzn-SageMaker-Target-Model: one.tar.gz" in guide
    assert function.returncode == 1
    assert "nothing in a function of AWS Lambda loads them" in function.stderr


def test_everybody_may_read_the_model_of_an_archive_that_was_packed_for_its_owner(
    export: Export, hosting: Hosting, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, kind in (("deep", tarfile.DIRTYPE), ("deep/weights", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o700 if kind == tarfile.DIRTYPE else 0o600
            tar.addfile(member)
    hosting.s3.put_object(Bucket=BUCKET, Key="mine.tar.gz", Body=packed.getvalue())
    hosting.create("mine", {"Image": ECHO, "ModelDataUrl": f"s3://{BUCKET}/mine.tar.gz"})

    assert export("mine", "--to", "compose").returncode == 0
    folder = tmp_path / "mine-compose" / "model" / "deep"
    assert folder.stat().st_mode & 0o055 == 0o055
    assert (folder / "weights").stat().st_mode & 0o044 == 0o044


@pytest.mark.parametrize("there", ["a file", "a folder with files", "a link"])
def test_nothing_is_replaced(there: str, export: Export, tmp_path: Path) -> None:
    output = tmp_path / "out"
    if there == "a folder with files":
        output.mkdir()
        (output / "notes").write_text("mine")
    elif there == "a file":
        output.write_text("mine")
    else:
        output.symlink_to(tmp_path / "elsewhere")
    before = files_of(tmp_path)

    done = export("echo", "--to", "compose", "--output", "out")

    assert done.returncode == 1
    assert "with --output" in done.stderr
    assert files_of(tmp_path) == before


def test_an_empty_folder_is_taken(export: Export, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    assert export("echo", "--to", "compose", "--output", "out").returncode == 0
    assert files_of(tmp_path / "out") == ["README.md", "docker-compose.yml", "model/weights"]


def test_a_model_that_is_gone_is_told_and_leaves_nothing(
    export: Export, hosting: Hosting, tmp_path: Path
) -> None:
    url = hosting.put_model({"weights": b"gone"}, "gone.tar.gz")
    hosting.create("gone", {"Image": ECHO, "ModelDataUrl": url})
    hosting.s3.delete_object(Bucket=BUCKET, Key="gone.tar.gz")

    done = export("gone", "--to", "compose")

    assert done.returncode == 1
    assert f"the model {url} is not there any more" in done.stderr
    assert list(tmp_path.iterdir()) == []


README = (Path(__file__).parents[3] / "local_mode" / "README.md").read_text()
LINES = re.findall(r"^sagelocal export (.+)$", README, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_the_lines_of_the_readme_are_right(line: str, export: Export, tmp_path: Path) -> None:
    words = line.replace("URI", IMAGE).replace("ARN", ROLE).split()

    done = export(*words)

    assert done.returncode == 0, done.stderr
    assert "README.md" in done.stdout


def test_the_readme_has_every_target_and_its_files() -> None:
    section = README.partition("## An endpoint elsewhere")[2].partition("\n## ")[0]

    assert len(LINES) == 3
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(TARGETS)

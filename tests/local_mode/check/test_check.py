"""A check of images that break one rule each, and of one that breaks none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sagelocal.check.rules import RULES

from tests.saved_image import saved_image

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
CONTEXT = ROOT / "tests" / "containers" / "checked"
MAKE_BASE = ROOT / "containers" / "base" / "make_base.sh"
SAGELOCAL = Path(sys.executable).with_name("sagelocal")
REPOSITORY = "sagelocal-test/checked"
BIND_TO_PORT = 'LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"'
MULTI_MODEL = 'LABEL com.amazonaws.sagemaker.capabilities.multi-models="true"'

# What a Dockerfile FROM the good image adds to break a rule that is looked up in the image.
LYING = {
    "secrets": "ENV DATABASE_PASSWORD=hunter2hunter2",
    "entry-point": "ENTRYPOINT python3 /usr/local/bin/train",
    "root-user": "USER 10001",
    "reserved-paths": "RUN mkdir -p /opt/ml/model && echo 1 > /opt/ml/model/mean.txt",
    "gpu-libraries": "RUN mkdir -p /opt/cuda && touch /opt/cuda/libcudart.so.12",
    "locale": "ENV LANG=C",
}
TRAINING = (
    "train-argument",
    "hyperparameters-are-strings",
    "train-exit-status",
    "failure-file",
    "model-saved",
    "written-elsewhere",
    "optional-channels",
    "read-only-input",
    "absent-paths",
    "train-network-isolation",
    "train-sigterm",
    "logs-unbuffered",
)
HOSTING = (
    "serve-argument",
    "ping-time",
    "ping-honest",
    "model-read-only",
    "shared-memory",
    "invocation",
    "answer-time",
    "concurrent-requests",
    "keep-alive",
    "unknown-content-type",
    "survives-requests",
    "large-body",
    "wrong-method",
    "execution-parameters",
    "bind-to-port",
    "serve-network-isolation",
    "serve-sigterm",
    "zombies",
    "multi-model",
)
# Told from what no image here can be made to have: see test_description.
BY_FIGURES = ("manifest-type", "size", "layers")


@pytest.fixture(scope="module")
def build() -> Iterator[Callable[[str, str], str]]:
    """`build(name, lines)` makes an image of the good one with more lines in its Dockerfile."""
    base = subprocess.run(["sh", MAKE_BASE], check=True, capture_output=True, text=True).stdout
    _docker("build", "-q", "-t", REPOSITORY, "--build-arg", f"BASE_IMAGE={base.strip()}", CONTEXT)
    made = [REPOSITORY]

    def build(name: str, lines: str) -> str:
        tag = f"{REPOSITORY}:{name}"
        text = f"FROM {REPOSITORY}\n{lines}\n"
        _docker("build", "-q", "-t", tag, "-f", "-", CONTEXT, input=text)
        made.append(tag)
        return tag

    yield build
    subprocess.run(["docker", "image", "rm", "--force", *made], capture_output=True)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """What to train on, a model, and a request, as flags."""
    folder = tmp_path_factory.mktemp("given")
    for name in ("train", "validation", "model"):
        (folder / name).mkdir()
    (folder / "train/rows.csv").write_text("1,a\n2,b\n6,c\n")
    (folder / "validation/rows.csv").write_text("3,a\n")
    (folder / "model/mean.txt").write_text("3")
    (folder / "row.csv").write_text("1\n")
    return {
        "training": tuple(
            part for n in ("train", "validation") for part in ("--channel", f"{n}={folder / n}")
        ),
        "model": ("--model", str(folder / "model")),
        "request": ("--request", str(folder / "row.csv")),
    }


def _docker(*arguments: str | Path, input: str | None = None) -> None:
    done = subprocess.run(
        ["docker", *arguments], input=input, capture_output=True, text=True, cwd=CONTEXT
    )
    assert done.returncode == 0, done.stderr


def check(image: str, *arguments: str) -> tuple[int, Any]:
    """`sagelocal check`: its exit status and its JSON."""
    done = subprocess.run(
        [SAGELOCAL, "check", image, "--output", "json", *arguments], capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def broken(report: Any) -> list[str]:
    return [each["rule"] for each in report["findings"] if each["outcome"] == "broken"]


def test_there_is_an_image_for_every_rule() -> None:
    tried = {*LYING, *TRAINING, *HOSTING, *BY_FIGURES, "architecture", "non-root"}
    assert tried == {rule.name for rule in RULES}


def test_the_image_that_keeps_every_rule_passes_in_every_form(
    build: Any, given: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    image = build("good", f"{BIND_TO_PORT}\nLABEL sagelocal.non-root=true")
    files = {form: tmp_path / f"report.{form}" for form in ("junit", "html", "table")}
    outputs = [flag for form, path in files.items() for flag in ("--output", f"{form}={path}")]
    arguments = ("--hp", "seconds=3.5", *given["training"], *given["request"], *outputs)
    status, report = check(image, *arguments)
    assert (status, broken(report)) == (0, [])
    untried = [each["rule"] for each in report["findings"] if each["outcome"] == "skipped"]
    assert untried == ["multi-model"]
    suite = ET.parse(files["junit"]).getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(RULES)), "0")
    assert "nothing broken" in files["table"].read_text()
    assert "<h2>Every rule</h2>" in files["html"].read_text()


@pytest.mark.parametrize("rule", LYING)
def test_an_image_that_lies_there_broken_is_told_by(rule: str, build: Any) -> None:
    _, report = check(build(rule, LYING[rule]), "--only", "image")
    assert broken(report) == [rule]


def test_an_image_without_find_is_read_as_an_archive(build: Any) -> None:
    _, report = check(
        build("no-find", f"RUN rm /usr/bin/find\n{LYING['reserved-paths']}"), "--only", "image"
    )
    (seen,) = (each["seen"] for each in report["findings"] if each["outcome"] == "broken")
    assert seen == "/opt/ml/model/mean.txt"


def test_an_image_for_another_architecture_is_told(tmp_path: Path) -> None:
    tag = f"{REPOSITORY}:architecture"
    saved = tmp_path / "image.tar"
    saved.write_bytes(saved_image(tag, [b"anything"], "arm64"))
    _docker("load", "--input", saved)
    try:
        status, report = check(tag, "--only", "image")
    finally:
        _docker("image", "rm", "--force", tag)
    assert (status, broken(report)) == (1, ["architecture"])


@pytest.mark.parametrize("rule", TRAINING)
def test_training_is_told_by(rule: str, build: Any, given: dict[str, tuple[str, ...]]) -> None:
    lines = "RUN rm /usr/local/bin/train" if rule == "train-argument" else f"ENV BREAK={rule}"
    length = {"train-sigterm": 6, "logs-unbuffered": 3.5}.get(rule, 0.1)
    seconds = ("--hp", f"seconds={length}", "--training-grace", "1")
    _, report = check(build(rule, lines), "--only", "train", *seconds, *given["training"])
    assert broken(report) == [rule]


def test_a_first_process_that_never_gets_sigterm_is_told_however_soon_it_ends(
    build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    image = build("no-handler", "ENV BREAK=no-handler")
    _, report = check(image, "--only", "train", "--hp", "seconds=6", *given["training"])
    assert broken(report) == ["train-sigterm"]
    (found,) = (each for each in report["findings"] if each["rule"] == "train-sigterm")
    assert found["seen"].startswith("process 1 has no handler for SIGTERM")


def test_training_that_makes_a_model_of_anything_does_not_hide_a_failure(
    build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    image = build("any-data", "ENV BREAK=any-data")
    _, report = check(image, "--only", "train", *given["training"])
    assert broken(report) == []
    (found,) = (each for each in report["findings"] if each["rule"] == "train-exit-status")
    assert (found["outcome"], found["seen"].split(",")[0]) == ("skipped", "it learns from noise")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_check_at_once_and_nothing_is_left(
    number: signal.Signals, build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    # It prints before it waits for a minute, without an end that anybody could wait for.
    image = build("interrupted", "ENV BREAK=train-sigterm")
    arguments = ["--only", "train", "--hp", "seconds=60", *given["training"]]
    process = subprocess.Popen(
        [SAGELOCAL, "check", image, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not _of_check("container", image):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=50)

    assert (process.returncode, told) == (
        130,
        "Interrupted; no container of the check is left.\n",
    )
    assert _of_check("container", image) + _of_check("volume", image) == []


def _of_check(kind: str, image: str) -> list[str]:
    """Containers that run, or volumes, of the checks of an image."""
    command = ["docker", kind, "ls", "--quiet", "--filter", f"label=sagelocal.check={image}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("rule", HOSTING)
def test_hosting_is_told_by(rule: str, build: Any, given: dict[str, tuple[str, ...]]) -> None:
    labels = f"{BIND_TO_PORT}\n{MULTI_MODEL if rule == 'multi-model' else ''}"
    image = build(rule, f"ENV BREAK={rule}\n{labels}")
    seconds = {"answer-time": 5}.get(rule, 60)
    limits = ("--hosting-grace", "1", "--invocation-timeout", str(seconds))
    _, report = check(image, "--only", "serve", *limits, *given["model"], *given["request"])
    assert broken(report) == [rule]


def test_an_image_that_claims_to_need_no_root_and_does_is_told(
    build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    image = build("non-root", "ENV BREAK=non-root\nLABEL sagelocal.non-root=true")
    _, report = check(image, "--only", "train", *given["training"])
    # What it writes is also in the wrong place.
    assert broken(report) == ["written-elsewhere", "non-root"]


@pytest.mark.parametrize("program", ["train", "serve"])
def test_an_image_with_a_user_who_may_not_write_where_it_writes_is_told(
    program: str, build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    image = build("own-user", "ENV BREAK=non-root\nUSER 10001")
    _, report = check(image, "--only", program, *given["training"], *given["model"])
    assert broken(report) == ["non-root"]
    (found,) = (each for each in report["findings"] if each["rule"] == "non-root")
    assert found["seen"].startswith("As root it ")


def test_an_image_with_a_user_of_its_own_that_works_keeps_the_rule(
    build: Any, given: dict[str, tuple[str, ...]]
) -> None:
    image = build("good-user", "USER 10001")
    _, report = check(image, "--only", "serve", *given["model"])
    assert broken(report) == []
    (found,) = (each for each in report["findings"] if each["rule"] == "non-root")
    assert (found["outcome"], found["seen"]) == ("kept", "serve as 10001: 200")


def test_an_error_makes_the_exit_status_1_and_a_warning_only_when_strict(build: Any) -> None:
    assert check(build("exit-error", "ENTRYPOINT true"), "--only", "image")[0] == 1
    warned = build("exit-warning", "ENV LANG=C")
    assert check(warned, "--only", "image")[0] == 0
    assert check(warned, "--only", "image", "--strict")[0] == 1


def test_a_folder_is_built_and_the_request_found_in_the_image(tmp_path: Path, build: Any) -> None:
    (tmp_path / "Dockerfile").write_text(
        f'FROM {REPOSITORY}\nLABEL sagelocal.sample.body="5" '
        'sagelocal.sample.content-type="text/csv"\n'
    )
    model = tmp_path / "model"
    model.mkdir()
    (model / "mean.txt").write_text("3")
    _, report = check(str(tmp_path), "--only", "serve", "--model", str(model))
    found = {each["rule"]: each for each in report["findings"]}
    assert found["invocation"]["outcome"] == "kept"
    assert found["invocation"]["seen"].startswith("200 2.0")
    subprocess.run(["docker", "image", "rm", "--force", report["image"]], capture_output=True)


def test_an_image_that_is_not_there_is_an_error_with_the_next_step() -> None:
    done = subprocess.run(
        [SAGELOCAL, "check", "sagelocal-test/never:1"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Docker knows no image 'sagelocal-test/never:1'" in done.stderr
    assert "docker build -t sagelocal-test/never:1 FOLDER" in done.stderr


def test_a_distribution_that_s3_does_not_have_is_told(build: Any) -> None:
    done = subprocess.run(
        [SAGELOCAL, "check", REPOSITORY, "--distribution", "train=Sharded"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "'Sharded' is none of FullyReplicated, ShardedByS3Key" in done.stderr


def test_without_an_engine_there_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    done = subprocess.run(
        [SAGELOCAL, "check", "sagelocal-test/never:1"],
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "A check runs the image at a Docker engine, and none answers" in done.stderr
    assert "Start Docker, or set DOCKER_HOST" in done.stderr

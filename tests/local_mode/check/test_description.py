"""What is told of an image by the engine's description of it alone."""

from __future__ import annotations

from typing import Any

import pytest
from sagelocal.check.findings import Outcome
from sagelocal.check.image import check_description, secrets_in
from sagelocal.check.subject import Subject

OCI = "application/vnd.oci"
DOCKER = "application/vnd.docker.distribution"
GOOD: dict[str, Any] = {
    "Os": "linux",
    "Architecture": "amd64",
    "Size": 200_000_000,
    "RootFS": {"Layers": ["sha256:1", "sha256:2"]},
    "Config": {"Env": ["LANG=C.UTF-8"], "Entrypoint": None, "Labels": None},
}


def broken(**changes: Any) -> list[str]:
    subject = Subject("image", "sha256:0", {**GOOD, **changes})
    findings = check_description(subject)
    return [each.rule.name for each in findings if each.outcome is Outcome.BROKEN]


def test_a_small_image_for_this_kind_of_machine_is_fine() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("architecture", {"Architecture": "arm64"}),
        ("architecture", {"Os": "windows"}),
        ("manifest-type", {"Descriptor": {"mediaType": f"{OCI}.image.manifest.v1+json"}}),
        ("manifest-type", {"Descriptor": {"mediaType": f"{OCI}.image.index.v1+json"}}),
        ("size", {"Size": 10_000_000_001}),
        ("layers", {"RootFS": {"Layers": ["sha256:1"] * 128}}),
        ("entry-point", {"Config": {**GOOD["Config"], "Entrypoint": ["/bin/sh", "-c", "train"]}}),
        (
            "entry-point",
            {"Config": {**GOOD["Config"], "Entrypoint": ["/bin/sh", "-c", 'exec serve "$@"']}},
        ),
        ("root-user", {"Config": {**GOOD["Config"], "User": "app:app"}}),
        ("locale", {"Config": {"Env": ["LANG=C.UTF-8", "TZ=Europe/Berlin"]}}),
        ("locale", {"Config": {"Env": ["LANG=C.UTF-8", "LC_ALL=C"]}}),
        ("locale", {"Config": {}}),
    ],
)
def test_each_figure_breaks_its_rule(rule: str, changes: dict[str, Any]) -> None:
    assert broken(**changes) == [rule]


def test_a_shell_that_hands_its_arguments_on_is_an_entry_point() -> None:
    line = ["/bin/sh", "-c", 'exec program "$@"', "program"]
    assert broken(Config={**GOOD["Config"], "Entrypoint": line}) == []


def test_an_engine_that_says_what_it_has_may_have_dockers_own_type() -> None:
    assert broken(Descriptor={"mediaType": f"{DOCKER}.manifest.v2+json"}) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("AWS_SECRET_ACCESS_KEY=abcdefghijkl", "a value of AWS_SECRET_ACCESS_KEY"),
        ("RUN login --key AKIAIOSFODNN7EXAMPLE", "an AWS access key"),
        ("RUN pip install -i https://me:hunter2@packages.example/simple", "a password in a URL"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("ARG HF_TOKEN=hf_" + "a" * 34, "a token of Hugging Face"),
    ],
)
def test_secrets_are_named_by_their_kind_and_never_told(text: str, what: str) -> None:
    found = list(secrets_in(text))
    assert what in found
    assert not any("hunter2" in each or "abcdefghijkl" in each for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "PATH=/usr/local/bin:/usr/bin",
        "ENV TOKENIZERS_PARALLELISM=false",
        "RUN TOKEN=$BUILD_TOKEN fetch",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert list(secrets_in(text)) == []

"""Java's patterns in Python."""

from __future__ import annotations

import pytest
from sagelocal.protocol import models, patterns

SERVICES = ("sagemaker", "sagemaker-runtime", "logs", "ecr", "sts", "iam")

TAG = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc\n", False),
        ("^[a-z]+$", "xabc1", False),
        (TAG, "Größe 1\u00a0@home", True),
        (TAG, "a,b", False),
        (r"\p{ASCII}*", "abc~", True),
        (r"\p{ASCII}*", "ü", False),
        (r"\A\S[\p{Print}]*\z", "a b", True),
        (r"\A\S[\p{Print}]*\z", " ab", False),
        (r"[\w-_]*", "a-_", True),
        (r"arn:[\p{Alnum}\-]+:x", "arn:aws-cn:x", True),
        (r"([\p{L}]*)${1,128}", "abc", True),
        (r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*", 'a "b" (c) [d] €5 — ok!', True),
        (r"[\p{L}\p{M}\p{Z}\p{N}\p{P}]{0,1024}", "a\x00", False),
    ],
)
def test_a_pattern_of_java_means_the_same(pattern: str, value: str, fits: bool) -> None:
    assert patterns.matches(pattern, value) is fits


@pytest.mark.parametrize("name", SERVICES)
def test_every_pattern_of_our_services_can_be_said(name: str) -> None:
    """A pattern that cannot is one that lets everything pass; NUL passes hardly any."""
    service = models.load(name)
    assert service is not None
    shapes = (service.model.shape_for(shape) for shape in service.model.shape_names)
    found = {shape.metadata["pattern"] for shape in shapes if shape.metadata.get("pattern")}
    assert [pattern for pattern in found if not patterns.is_known(pattern)] == []


def test_a_pattern_that_python_cannot_say_constrains_nothing() -> None:
    assert patterns.matches("(?<broken", "anything")
    assert not patterns.is_known("(?<broken")

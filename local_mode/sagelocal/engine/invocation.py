"""One call of a model: through its container, or through the chain of them.

Headers and errors: botocore's sagemaker-runtime model; developer guide, "Inference Pipelines": each
container's answer is the next one's request, with its Content-Type; the client's Accept is for the
last.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sagelocal.domain.deployments import Variant
from sagelocal.engine.forwarding import Answer, NoAnswer, TooSlow
from sagelocal.engine.instance_keeper import Hop

PATH = "/invocations"
# What stands for a status where a container gave none.
NO_STATUS = 0
# As much of an error's body as is relayed; models have been seen to answer with their whole input.
LONGEST_ERROR_BYTES = 64 * 1024


class NoSuchContainer(Exception):
    """No container of the model has that host name; the text says which there are."""


class ModelFault(Exception):
    """The model did not answer with success: its status, or NO_STATUS, and its words."""

    def __init__(self, label: str, status: int, message: str, variant: Variant) -> None:
        super().__init__(message)
        self.label = label
        self.status = status
        self.message = message
        self.variant = variant


@dataclass(frozen=True)
class Invocation:
    """What a client sent. `headers` go to every container; `accept` to the last."""

    body: bytes = field(repr=False)
    content_type: str | None = None
    accept: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    target_variant: str | None = None
    target_hostname: str | None = None


@dataclass(frozen=True)
class ModelAnswer:
    """The last container's answer, and which variant gave it."""

    answer: Answer
    variant_name: str


def call_through(
    hops: Sequence[Hop], variant: Variant, invocation: Invocation, timeout_seconds: float
) -> ModelAnswer:
    """Have the containers answer, all within the time. Raises ModelFault, NoSuchContainer."""
    deadline = time.monotonic() + timeout_seconds
    chain = _called(hops, variant, invocation.target_hostname)
    body, content_type = invocation.body, invocation.content_type
    answer = Answer(NO_STATUS, {}, b"")
    for hop in chain:
        accept = invocation.accept if hop is chain[-1] else None
        headers = _headers(invocation.headers, content_type, accept)
        left = max(0.0, deadline - time.monotonic())
        answer = _call(hop, variant, body, headers, left)
        body, content_type = answer.body, answer.headers.get("content-type")
    return ModelAnswer(answer, variant.name)


def _called(hops: Sequence[Hop], variant: Variant, hostname: str | None) -> Sequence[Hop]:
    if hostname is None:
        return hops
    chosen = [hop for hop in hops if hop.hostname == hostname]
    if not chosen or not variant.direct:
        names = ", ".join(hop.hostname or hop.label for hop in hops)
        raise NoSuchContainer(
            f"the containers are {names}" if variant.direct else "the model is not in Direct mode"
        )
    return chosen


def _call(
    hop: Hop, variant: Variant, body: bytes, headers: Mapping[str, str], timeout_seconds: float
) -> Answer:
    try:
        answer = hop.connections.post(PATH, body, headers, timeout_seconds)
    except TooSlow as error:
        message = (
            "Your invocation timed out while waiting for a response from container "
            f"{hop.label}. Review the latency metrics for each container in Amazon CloudWatch, "
            "resolve the issue, and try again."
        )
        raise ModelFault(hop.label, NO_STATUS, message, variant) from error
    except NoAnswer as error:
        message = f"The container {hop.label} closed the connection without an answer: {error}"
        raise ModelFault(hop.label, NO_STATUS, message, variant) from error
    if not 200 <= answer.status < 300:
        words = answer.body[:LONGEST_ERROR_BYTES].decode("utf-8", "replace")
        raise ModelFault(hop.label, answer.status, words, variant)
    return answer


def _headers(
    own: Mapping[str, str], content_type: str | None, accept: str | None
) -> Mapping[str, str]:
    headers = dict(own)
    if content_type is not None:
        headers["Content-Type"] = content_type
    if accept is not None:
        headers["Accept"] = accept
    return headers

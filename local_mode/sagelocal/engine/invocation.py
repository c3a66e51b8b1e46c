"""One call of a model: through its container, or through the chain of them.

Headers and errors: botocore's sagemaker-runtime model; developer guide, "Inference Pipelines": each
container's answer is the next one's request, with its Content-Type; the client's Accept is for the
last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

from sagelocal.domain.deployments import Variant
from sagelocal.engine.forwarding import Answer, NoAnswer, OpenAnswer, TooLarge, TooSlow
from sagelocal.engine.instance_keeper import Hop
from sagelocal.engine.loaded_models import LoadedModels, LoadFault

PATH = "/invocations"
# A model that its container gives up again as soon as it is loaded is not loaded for ever.
MOST_LOADS = 4
# What stands for a status where a container gave none.
NO_STATUS = 0
# As much of an error's body as is relayed; models have been seen to answer with their whole input.
LONGEST_ERROR_BYTES = 64 * 1024


class NoSuchContainer(Exception):
    """No container of the model has that host name; the text says which there are."""


class MissingTargetModel(Exception):
    """The endpoint has many models, and the call names none."""


class NotMultiModel(Exception):
    """The call names one of many models, and the endpoint has one."""


class ModelFault(Exception):
    """The model did not answer with success: its status, or NO_STATUS, and its words."""

    def __init__(self, label: str, status: int, message: str, variant: Variant) -> None:
        super().__init__(message)
        self.label = label
        self.status = status
        self.message = message
        self.variant = variant


class StreamFault(Exception):
    """A streamed answer broke off; `code` is the API's word for how (shape ModelStreamError)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Limits:
    """What a model may take: seconds to answer, seconds to end a stream, bytes of a whole answer.

    The seconds are for all containers of the model together.
    """

    answer_seconds: float
    stream_seconds: float
    answer_bytes: int


@dataclass(frozen=True)
class Invocation:
    """What a client sent. `headers` go to every container; `accept` to the last.

    `target_model` is where the model's archive is, below the prefix of a multi-model container.
    """

    body: bytes = field(repr=False)
    content_type: str | None = None
    accept: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    target_variant: str | None = None
    target_hostname: str | None = None
    target_model: str | None = None


@dataclass(frozen=True)
class ModelAnswer:
    """The last container's answer, and which variant gave it."""

    answer: Answer
    variant_name: str


class ModelStream:
    """The last container's answer part by part, as they come. Close it when there is no more use.

    Header names are in lower case.
    """

    def __init__(
        self, answer: OpenAnswer, hop: Hop, variant: Variant, on_close: Callable[[], None]
    ) -> None:
        self.headers = answer.headers
        self.variant_name = variant.name
        self._answer = answer
        self._label = hop.label
        self._on_close: Callable[[], None] | None = on_close

    def __iter__(self) -> Iterator[bytes]:
        """Raises StreamFault."""
        try:
            yield from self._answer.parts()
        except TooSlow as error:
            raise StreamFault(
                "ModelInvocationTimeExceeded",
                f"Your model {self._label} did not complete sending the inference response in the "
                "allotted time.",
            ) from error
        except NoAnswer as error:
            raise StreamFault(
                "StreamBroken", f"The connection to your model {self._label} broke off: {error}"
            ) from error

    def close(self) -> None:
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            self._answer.close()
            on_close()


def call_through(
    hops: Sequence[Hop], variant: Variant, invocation: Invocation, limits: Limits
) -> ModelAnswer:
    """Have the containers answer.

    Raises ModelFault, NoSuchContainer; TargetModelFault and NotReady where there are many models.
    """
    chain = _Chain(variant, limits)
    *before, last = _called(hops, variant, invocation.target_hostname)
    return ModelAnswer(chain.call(last, chain.pass_through(before, invocation)), variant.name)


def stream_through(
    hops: Sequence[Hop],
    variant: Variant,
    invocation: Invocation,
    limits: Limits,
    on_close: Callable[[], None],
) -> ModelStream:
    """Have the containers answer, the last one as a stream; `on_close` is called at its end.

    Raises ModelFault, NoSuchContainer.
    """
    chain = _Chain(variant, limits)
    *before, last = _called(hops, variant, invocation.target_hostname)
    answer = chain.open(last, chain.pass_through(before, invocation))
    return ModelStream(answer, last, variant, on_close)


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


class _Chain:
    """One call on its way through the containers of a model, against the clock."""

    def __init__(self, variant: Variant, limits: Limits) -> None:
        self._variant = variant
        self._limits = limits
        self._started = time.monotonic()

    def pass_through(self, hops: Sequence[Hop], invocation: Invocation) -> Invocation:
        """What the next container is asked, once these have answered. Raises ModelFault."""
        for hop in hops:
            answer = self.call(hop, replace(invocation, accept=None))
            content_type = answer.headers.get("content-type")
            invocation = replace(invocation, body=answer.body, content_type=content_type)
        return invocation

    def call(self, hop: Hop, invocation: Invocation) -> Answer:
        """The whole answer of one container. Raises ModelFault, and as `call_through`."""
        if hop.models is None:
            answer = self._post(hop, PATH, invocation)
        else:
            answer = self._post_to_one_of(hop.models, hop, invocation)
        if not _is_success(answer.status):
            raise self._refusal(hop, answer.status, answer.body)
        return answer

    def _post_to_one_of(self, models: LoadedModels, hop: Hop, invocation: Invocation) -> Answer:
        """The answer of the target model, loaded before if need be."""
        target = invocation.target_model
        if target is None:
            raise MissingTargetModel
        deadline = self._started + self._limits.answer_seconds
        loads = 0
        while True:
            try:
                with models.calling(target, deadline) as path:
                    answer = self._post(hop, path, invocation)
            except LoadFault as fault:
                raise ModelFault(hop.label, fault.status, fault.message, self._variant) from fault
            loads += 1
            if loads == MOST_LOADS or not models.recover(target, answer.status):
                return answer

    def _post(self, hop: Hop, path: str, invocation: Invocation) -> Answer:
        with self._failures_told(hop):
            return hop.connections.post(
                path,
                invocation.body,
                _headers(invocation),
                self._left(self._limits.answer_seconds),
                self._limits.answer_bytes,
            )

    def open(self, hop: Hop, invocation: Invocation) -> OpenAnswer:
        """The answer of one container as soon as it begins. Raises ModelFault."""
        with self._failures_told(hop):
            answer = hop.connections.open(
                PATH,
                invocation.body,
                _headers(invocation),
                self._left(self._limits.answer_seconds),
                self._left(self._limits.stream_seconds),
            )
            if _is_success(answer.status):
                return answer
            with closing(answer):
                body = answer.read(self._limits.answer_bytes)
        raise self._refusal(hop, answer.status, body)

    def _left(self, seconds: float) -> float:
        return max(0.0, self._started + seconds - time.monotonic())

    @contextmanager
    def _failures_told(self, hop: Hop) -> Iterator[None]:
        try:
            yield
        except TooSlow as error:
            raise self._fault(
                hop,
                "Your invocation timed out while waiting for a response from container "
                f"{hop.label}. Review the latency metrics for each container in Amazon "
                "CloudWatch, resolve the issue, and try again.",
            ) from error
        except TooLarge as error:
            raise self._fault(
                hop,
                f"The container {hop.label} answered with more than {self._limits.answer_bytes} "
                "bytes, which is more than an endpoint relays at once. Answer with less, or "
                "stream the answer (InvokeEndpointWithResponseStream).",
            ) from error
        except NoAnswer as error:
            raise self._fault(
                hop, f"The container {hop.label} closed the connection without an answer: {error}"
            ) from error

    def _fault(self, hop: Hop, message: str) -> ModelFault:
        return ModelFault(hop.label, NO_STATUS, message, self._variant)

    def _refusal(self, hop: Hop, status: int, body: bytes) -> ModelFault:
        words = body[:LONGEST_ERROR_BYTES].decode("utf-8", "replace")
        return ModelFault(hop.label, status, words, self._variant)


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _headers(invocation: Invocation) -> Mapping[str, str]:
    headers = dict(invocation.headers)
    if invocation.content_type is not None:
        headers["Content-Type"] = invocation.content_type
    if invocation.accept is not None:
        headers["Accept"] = invocation.accept
    return headers

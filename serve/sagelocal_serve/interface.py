"""What stands between HTTP and a model: a Handler gets a Request and gives a Response.

A handler knows nothing of HTTP servers, so it can be tested with plain values. Two kinds
come with this package: `algorithm.AlgorithmHandler` (decode, predict, encode) and
`script.ScriptHandler` (the user's model_fn, input_fn, predict_fn, output_fn, transform_fn).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from sagelocal_serve.errors import NotAcceptable
from sagelocal_serve.media_type import JSON, OCTET_STREAM, Accept, MediaType

BatchStrategy = Literal["SINGLE_RECORD", "MULTI_RECORD"]


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation: the whole body, and what its headers say (names in lower case)."""

    body: bytes
    content_type: MediaType = field(default_factory=lambda: MediaType.parse(OCTET_STREAM))
    accept: Accept = field(default_factory=Accept)
    custom_attributes: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def negotiate(self, offers: tuple[str, ...]) -> MediaType:
        """The format to answer in, among the canonical names offered; raises NotAcceptable."""
        chosen = self.accept.choose(offers)
        if chosen is None:
            raise NotAcceptable.of(self.accept, offers)
        return chosen


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one invocation.

    A body that is an iterable of bytes is streamed as it is produced; the request counts as
    running until the iterable ends or is closed.
    """

    body: bytes | Iterable[bytes]
    content_type: MediaType = field(default_factory=lambda: MediaType.parse(JSON))
    custom_attributes: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class ExecutionParameters:
    """How batch transform should call this container (guide: your-algorithms-batch-code)."""

    max_concurrent_transforms: int = 1
    batch_strategy: BatchStrategy = "MULTI_RECORD"
    max_payload_in_mb: int = 6

    def to_wire(self) -> dict[str, int | str]:
        """The JSON object of GET /execution-parameters."""
        return {
            "MaxConcurrentTransforms": self.max_concurrent_transforms,
            "BatchStrategy": self.batch_strategy,
            "MaxPayloadInMB": self.max_payload_in_mb,
        }


@runtime_checkable
class Handler(Protocol):
    """A model and the code that answers for it.

    `prepare` runs once per container, before any worker process exists. `load` runs once per
    container when `shares_memory` is true (the workers inherit the model copy-on-write), else
    once in every worker: a framework that starts threads of its own or holds a GPU does not
    survive a fork. `handle` is called from several threads only if the operator sets
    MODEL_SERVER_THREADS above 1. ServeError goes to the caller as it is; any other exception
    becomes a 500 and a stack trace in the log.
    """

    @property
    def shares_memory(self) -> bool: ...

    def prepare(self, model_dir: Path) -> None: ...

    def load(self, model_dir: Path) -> None: ...

    def handle(self, request: Request) -> Response: ...

    def execution_parameters(self) -> ExecutionParameters | None: ...

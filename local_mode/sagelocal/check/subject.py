"""What is checked, and what it is tried with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagelocal.check.archives import Tree

# Labels by which an image brings its own sample.
LABEL_CONTENT_TYPE = "sagelocal.sample.content-type"
LABEL_BODY = "sagelocal.sample.body"
LABEL_GPU = "sagelocal.gpu"
LABEL_NON_ROOT = "sagelocal.non-root"
LABEL_BIND_TO_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
LABEL_MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"


@dataclass(frozen=True)
class SampleRequest:
    """A request that the image should answer with 2xx."""

    body: bytes
    content_type: str
    accept: str | None = None

    def headers(self) -> dict[str, str]:
        accept = {"Accept": self.accept} if self.accept else {}
        return {"Content-Type": self.content_type, **accept}


@dataclass(frozen=True)
class Limits:
    """How long to wait for what, in seconds: the cloud's figures unless told otherwise."""

    training: float = 300
    startup: float = 240
    ping: float = 2
    invocation: float = 60
    training_grace: float = 120
    hosting_grace: float = 30


@dataclass(frozen=True)
class Subject:
    """An image at the engine, and what it is tried with.

    `channels` are in the order in which they were given: the first is one that training cannot do
    without, and so are those in `required`. `distributions` says which are not FullyReplicated.
    Without any channel, training is tried only for what it does without data; without a model and
    without training, `serve` is tried with an empty model.
    """

    image: str
    image_id: str
    inspected: Mapping[str, object]
    channels: Mapping[str, Tree] = field(default_factory=dict)
    content_types: Mapping[str, str] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    model: Tree | None = None
    request: SampleRequest | None = None
    limits: Limits = Limits()

    @property
    def configuration(self) -> Mapping[str, object]:
        found = self.inspected.get("Config")
        return found if isinstance(found, dict) else {}

    @property
    def labels(self) -> Mapping[str, str]:
        found = self.configuration.get("Labels")
        return found if isinstance(found, dict) else {}

    def has_label(self, name: str) -> bool:
        """Whether a label says `true`."""
        return self.labels.get(name, "").lower() == "true"

"""What a target needs to know of one variant of an endpoint, and what stops an export."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sagelocal.domain.models import (
    ADDITIONAL_FOLDER,
    MODEL_FOLDER,
    MODELS_FOLDER,
    ModelData,
)

PORT = 8080
# Of what loads and chooses one of many models, whose container has the other.
LOADER_PORT = 8090
# Of a pipeline's containers, for servers inside them: so many each, from there.
SAFE_PORTS_FROM, SAFE_PORTS = 20_000, 1_000
PING, INVOCATIONS = "/ping", "/invocations"
# The hosting contract: /ping within 2 s, an answer within 60 s, SIGTERM 30 s before SIGKILL.
PING_SECONDS = 2
ANSWER_SECONDS = 60
STOP_SECONDS = 30
STARTUP_SECONDS = 240
# What cannot be known here. The guide of an export lists the files that have it.
FILL_IN = "REPLACE_ME"
ROLE_TO_FILL_IN = f"arn:aws:iam::{FILL_IN}:role/{FILL_IN}"
CPU_TARGET_PERCENT = 70

MIB = 1024**2
_GRAVITON = re.compile(r"^ml\.[a-z]+\d+g[a-z]*\.")


class ExportError(Exception):
    """Why there is no export; the text is for the user, with the next step."""


@dataclass(frozen=True)
class Files:
    """Model data of the container. `url` is where it is in S3, for those who run elsewhere.

    `here` is its name in the exported folder, as it lies in S3: an archive, a file or a folder.
    `stage` tells the files of a pipeline's containers apart. A shelf is a folder of archives, each
    a model; unpacked, what is found as NAME lies in `name_on_shelf(NAME)`/model.
    """

    data: ModelData
    url: str
    here: str
    stage: str = ""

    @property
    def folder(self) -> str:
        """What the folder of its unpacked files is called in an export."""
        below = self.data.target.removeprefix(ADDITIONAL_FOLDER).strip("/")
        names = {MODEL_FOLDER: "model", MODELS_FOLDER: "models"}
        name = names.get(self.data.target, f"additional-{below}")
        return f"{self.stage}-{name}" if self.stage else name

    @property
    def is_shelf(self) -> bool:
        return self.data.target == MODELS_FOLDER


@dataclass(frozen=True)
class Machine:
    """What one container may use. `serverless_concurrency` is None for instances."""

    vcpus: float
    memory_bytes: int
    gpus: int = 0
    architecture: str = "amd64"
    serverless_concurrency: int | None = None

    @property
    def memory_mib(self) -> int:
        return self.memory_bytes // MIB


@dataclass(frozen=True)
class Stage:
    """One container of a variant. `image` is its name where it is to run.

    `name` and `port` are those of a container with another before it; the only one of a variant has
    none of its own. One that `keeps_models` has each loaded until it needs the room.
    """

    image: str
    base_image: str = ""
    files: tuple[Files, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    port: int = PORT
    keeps_models: bool = True

    @property
    def has_many_models(self) -> bool:
        return any(files.is_shelf for files in self.files)

    @property
    def reads_s3(self) -> tuple[str, ...]:
        """Variables with an address in S3, which the container itself reads."""
        return tuple(name for name, value in self.environment.items() if value.startswith("s3://"))


@dataclass(frozen=True)
class Service:
    """One variant: a container, or those of a pipeline in the order in which they are called.

    `not_exported` is what is left behind.
    """

    endpoint: str
    variant: str
    region: str
    machine: Machine
    stages: tuple[Stage, ...]
    replicas: int = 1
    most_replicas: int = 2
    startup_seconds: int = STARTUP_SECONDS
    role: str = ROLE_TO_FILL_IN
    not_exported: Sequence[str] = ()

    @property
    def name(self) -> str:
        """As a DNS label that begins with a letter, short enough for what is added to it."""
        label = self.endpoint.lower()
        return (label if label[0].isalpha() else f"endpoint-{label}")[:50].rstrip("-")

    @property
    def is_pipeline(self) -> bool:
        return len(self.stages) > 1

    @property
    def has_many_models(self) -> bool:
        """Whether each request names one of many, of which its one container has some loaded."""
        return any(stage.has_many_models for stage in self.stages)

    @property
    def has_front(self) -> bool:
        """Whether a program of ours takes the requests, before the containers."""
        return self.is_pipeline or self.has_many_models

    @property
    def port(self) -> int:
        """Where requests go to."""
        return LOADER_PORT if self.has_many_models else PORT

    @property
    def files(self) -> tuple[Files, ...]:
        """The model data of all containers."""
        return tuple(files for stage in self.stages for files in stage.files)

    @property
    def reads_s3(self) -> tuple[str, ...]:
        """Variables with an address in S3, of any of the containers."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.reads_s3))

    def name_of(self, stage: Stage) -> str:
        """What a container is called; a pipeline's is called by its place besides."""
        return f"{self.name}-{stage.name}" if stage.name else self.name

    def variables(self, stage: Stage) -> dict[str, str]:
        """What a container is told, as an endpoint's is; in a pipeline each has its own ports."""
        position = self.stages.index(stage)
        first = SAFE_PORTS_FROM + position * SAFE_PORTS
        ports = {
            "SAGEMAKER_BIND_TO_PORT": str(stage.port),
            "SAGEMAKER_SAFE_PORT_RANGE": f"{first}-{first + SAFE_PORTS - 1}",
        }
        return {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **stage.environment,
            **(ports if self.is_pipeline else {}),
            **({"SAGEMAKER_MULTI_MODEL": "true"} if stage.has_many_models else {}),
        }


def architecture(instance_type: str | None) -> str:
    """That of the processors of an instance type, as Docker calls it.

    >>> architecture("ml.m6g.large"), architecture("ml.g5.xlarge")
    ('arm64', 'amd64')
    """
    return "arm64" if instance_type and _GRAVITON.match(instance_type) else "amd64"

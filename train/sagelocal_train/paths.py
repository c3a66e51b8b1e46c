"""Where everything of a training job lies: the tree that SageMaker mounts at /opt/ml.

    input/config/{hyperparameters,inputdataconfig,resourceconfig,checkpointconfig}.json
    input/data/CHANNEL/            model/        checkpoints/        code/
    output/{data/,failure,success,intermediate/}

Developer guide, "How Amazon SageMaker Provides Training Information". SAGEMAKER_BASE_DIR replaces
/opt/ml, which is how the tree can lie anywhere for a test or for a run without a container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BASE_DIR_VARIABLE = "SAGEMAKER_BASE_DIR"
DEFAULT_BASE_DIR = "/opt/ml"


@dataclass(frozen=True)
class Paths:
    """The folders and files below one base folder. Nothing is created by asking."""

    base: Path = Path(DEFAULT_BASE_DIR)

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Paths:
        """The tree that a process with these environment variables uses."""
        return cls(Path(variables.get(BASE_DIR_VARIABLE) or DEFAULT_BASE_DIR))

    @property
    def input(self) -> Path:
        """All that the platform provides; to be read only."""
        return self.base / "input"

    @property
    def config(self) -> Path:
        """The JSON files that describe the job."""
        return self.input / "config"

    @property
    def data(self) -> Path:
        """The folder of the channels."""
        return self.input / "data"

    @property
    def hyperparameters(self) -> Path:
        """A flat JSON object of strings."""
        return self.config / "hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        """The channels by name."""
        return self.config / "inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        """The hosts of the job and which one this is."""
        return self.config / "resourceconfig.json"

    @property
    def checkpoint_config(self) -> Path:
        """Only there when the job has a CheckpointConfig."""
        return self.config / "checkpointconfig.json"

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """The parent of `output_data`, `failure` and `success`."""
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        """What becomes output.tar.gz."""
        return self.output / "data"

    @property
    def output_intermediate(self) -> Path:
        """Files that are uploaded while the job runs."""
        return self.output / "intermediate"

    @property
    def failure(self) -> Path:
        """Its first 1,024 characters become FailureReason."""
        return self.output / "failure"

    @property
    def success(self) -> Path:
        """An empty file that says the training script ended well."""
        return self.output / "success"

    @property
    def checkpoints(self) -> Path:
        """The default LocalPath of a CheckpointConfig."""
        return self.base / "checkpoints"

    @property
    def code(self) -> Path:
        """The user's source in script mode."""
        return self.base / "code"

    def channel(self, name: str) -> Path:
        """The folder of a channel in File or FastFile mode."""
        return self.data / name

    def pipe(self, name: str, epoch: int) -> Path:
        """The FIFO of a channel in Pipe mode for one epoch, counted from 0."""
        return self.data / f"{name}_{epoch}"

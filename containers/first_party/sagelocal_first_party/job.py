"""The beginning of every training job: what is asked for is read, checked and said.

    FAMILY = Family("PCA", TABLE, Channels(DataChannel("train", required=True, label="ignored")))

    def main(environment=None):
        job = Job.begin(FAMILY, environment)
        train = job.read("train", job.values.integer("feature_dim"))

Everything that the user can mend ends as a UserError with one message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sagelocal_train import log_lines
from sagelocal_train.channels import Channels
from sagelocal_train.environment import Environment
from sagelocal_train.hyperparameters import Hyperparameters, Values

from sagelocal_first_party.artifact import archive_name
from sagelocal_first_party.channels import DataChannel
from sagelocal_first_party.log import JobLog
from sagelocal_first_party.rows import Dataset


@dataclass(frozen=True)
class Family:
    """What an algorithm declares of itself.

    `algorithm` is its name in `#metrics` lines; all of `channels` are `DataChannel`s.
    """

    algorithm: str
    hyperparameters: Hyperparameters
    channels: Channels


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose configuration is in order."""

    family: Family
    environment: Environment
    values: Values
    log: JobLog

    @staticmethod
    def begin(family: Family, environment: Environment | None = None) -> Job:
        """Read what /opt/ml says, check hyperparameters and channels, and start the log.

        Raises UserError.
        """
        environment = Environment.read() if environment is None else environment
        log_lines.configure(environment.log_level)
        print("Running default environment configuration script", flush=True)
        raw, table = environment.raw_hyperparameters, family.hyperparameters
        values = table.validate(raw)
        log = JobLog(environment.current_host, family.algorithm)
        log.configuration(table, raw, values, environment.paths.hyperparameters)
        family.channels.validate(environment.channels)
        return Job(family, environment, values, log)

    @property
    def artifact(self) -> Path:
        """The file to save the model in, in a folder that exists."""
        folder = self.environment.paths.model
        folder.mkdir(parents=True, exist_ok=True)
        return folder / archive_name(self.environment.current_host)

    @property
    def is_first_host(self) -> bool:
        """Whether this is the host that saves."""
        return self.environment.resources.is_first_host

    def has(self, name: str) -> bool:
        """Whether the job has this channel."""
        return name in self.environment.channels

    def read_if_given(self, name: str, width: int | None = None) -> Dataset | None:
        """The same of a channel that the job may have or not; None where it has not."""
        return self.read(name, width) if self.has(name) else None

    def read(self, name: str, width: int | None = None, width_is: str = "feature_dim") -> Dataset:
        """A channel that the job has; raises UserError naming file and row."""
        declared = self.family.channels.declarations[name]
        if not isinstance(declared, DataChannel):
            raise TypeError(f"channel {name!r} is declared as no DataChannel")
        return declared.read(self.environment.channels[name], width, width_is)

"""The training job as an object: `Environment().channel_input_dirs["train"]`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from sagelocal_train import Environment as _Job
from sagelocal_train import Paths

_paths = Paths.of(os.environ)

base_dir = str(_paths.base)
code_dir = str(_paths.code)
model_dir = str(_paths.model)
input_dir = str(_paths.input)
input_config_dir = str(_paths.config)
output_dir = str(_paths.output)
output_data_dir = str(_paths.output_data)
output_intermediate_dir = str(_paths.output_intermediate)


class Environment(Mapping[str, Any]):
    """The facts of SM_TRAINING_ENV as attributes, and as items; AttributeError for other names.

    `hosts`, `current_host`, `hyperparameters`, `channel_input_dirs`, `model_dir`, `num_gpus`,
    `is_hetero`, `instance_groups_dict`, ... as the toolkit names them.
    """

    def __init__(self) -> None:
        self._job = _Job.read()
        self._facts = self._job.as_dict()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._facts:
            raise AttributeError(
                f"The training environment has no {name!r}. It has: {', '.join(self._facts)}"
            )
        return self._facts[name]

    def __getitem__(self, name: str) -> Any:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        return str(self._facts)

    def to_env_vars(self) -> dict[str, str]:
        """The SM_* variables of the job."""
        return self._job.to_env_vars()

    def to_cmd_args(self) -> list[str]:
        """The user's hyperparameters as arguments of a command."""
        return self._job.user_arguments()

    def sagemaker_s3_output(self) -> str | None:
        """Where in S3 the estimator wants the job's output, if it said so."""
        return self._job.toolkit_parameters.get("sagemaker_s3_output")


def channel_path(channel: str) -> str:
    """The folder of a channel."""
    return str(_paths.channel(channel))


def read_hyperparameters() -> dict[str, Any]:
    """All hyperparameters of the job, the toolkit's own too, as Python values."""
    job = _Job.read()
    return {**job.hyperparameters, **job.framework_parameters, **job.toolkit_parameters}


def read_resource_config() -> dict[str, Any]:
    """The hosts of the job and which one this is."""
    return dict(_Job.read().resources.document)


def read_input_data_config() -> dict[str, Any]:
    """The channels of the job as they were asked for."""
    return dict(_Job.read().input_data_config)

"""A training job as its container sees it: one frozen snapshot of /opt/ml and the environment.

    environment = Environment.read()
    environment.channels["train"].path, environment.raw_hyperparameters["mini_batch_size"]

An algorithm takes what it needs from the snapshot. A script gets the same facts as the SM_*
variables of the SageMaker training toolkit (`to_env_vars`) and as arguments (`user_arguments`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagelocal_train import config, encoding, machine
from sagelocal_train.config import Channel, Checkpoints, Resources
from sagelocal_train.paths import Paths

PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
MODULE_VARIABLE = "SAGEMAKER_TRAINING_MODULE"
LOG_LEVEL_VARIABLE = "SAGEMAKER_CONTAINER_LOG_LEVEL"

PROGRAM_PARAMETER = "sagemaker_program"
SUBMIT_DIRECTORY_PARAMETER = "sagemaker_submit_directory"
LOG_LEVEL_PARAMETER = "sagemaker_container_log_level"
REGION_PARAMETER = "sagemaker_region"
JOB_NAME_PARAMETER = "sagemaker_job_name"
S3_OUTPUT_PARAMETER = "sagemaker_s3_output"
DISTRIBUTION_GROUPS_PARAMETER = "sagemaker_distribution_instance_groups"

TOOLKIT_PARAMETERS = frozenset(
    {
        PROGRAM_PARAMETER,
        SUBMIT_DIRECTORY_PARAMETER,
        LOG_LEVEL_PARAMETER,
        REGION_PARAMETER,
        JOB_NAME_PARAMETER,
        S3_OUTPUT_PARAMETER,
        "sagemaker_enable_cloudwatch_metrics",
        "default_user_module_name",
        "_tuning_objective_metric",
    }
)
"""Settings of the toolkit among the hyperparameters; they reach neither script nor framework."""

LAUNCHER_PARAMETERS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_torch_distributed_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
)
"""What an estimator's `distribution` sets to ask for a distributed launcher."""


@dataclass(frozen=True)
class Environment:
    """Everything that a container knows of its training job.

    `raw_hyperparameters` are the request's strings; `hyperparameters` are the user's own, decoded
    as a script sees them; `framework_parameters` are the other `sagemaker_*` ones.
    """

    paths: Paths
    raw_hyperparameters: Mapping[str, str]
    hyperparameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]
    toolkit_parameters: Mapping[str, Any]
    channels: Mapping[str, Channel]
    input_data_config: Mapping[str, Any]
    resources: Resources
    checkpoints: Checkpoints | None
    job_name: str
    job_arn: str
    region: str
    entry_point: str | None
    submit_directory: str
    framework_module: str | None
    log_level: int
    num_cpus: int
    num_gpus: int
    num_neurons: int

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> Environment:
        """The snapshot for a process with these environment variables (default: this process).

        Raises UserError for a configuration file that cannot be read.
        """
        variables = os.environ if variables is None else variables
        paths = Paths.of(variables)
        raw = config.read_hyperparameters(paths)
        own, framework, toolkit = _split(encoding.decode(raw))
        input_data_config = config.read_object(paths.input_data_config)
        return cls(
            paths=paths,
            raw_hyperparameters=raw,
            hyperparameters=own,
            framework_parameters=framework,
            toolkit_parameters=toolkit,
            channels=config.read_channels(input_data_config, paths),
            input_data_config=input_data_config,
            resources=config.read_resources(config.read_object(paths.resource_config)),
            checkpoints=config.read_checkpoints(paths),
            job_name=variables.get("TRAINING_JOB_NAME") or _text(toolkit, JOB_NAME_PARAMETER),
            job_arn=variables.get("TRAINING_JOB_ARN", ""),
            region=_text(toolkit, REGION_PARAMETER) or _region(variables),
            entry_point=_entry_point(toolkit, variables),
            submit_directory=_text(toolkit, SUBMIT_DIRECTORY_PARAMETER) or str(paths.code),
            framework_module=variables.get(MODULE_VARIABLE) or None,
            log_level=_log_level(toolkit, variables),
            num_cpus=machine.cpu_count(),
            num_gpus=machine.gpu_count(),
            num_neurons=machine.neuron_core_count(),
        )

    @property
    def current_host(self) -> str:
        """The name of this host, `algo-1` where nothing else is said."""
        return self.resources.current_host

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts of the job, sorted."""
        return self.resources.hosts

    @property
    def module_name(self) -> str:
        """The entry point without `.py`."""
        return (self.entry_point or "").removesuffix(".py")

    @property
    def distribution_groups(self) -> tuple[str, ...]:
        """The instance groups that a distributed launcher runs on; empty without a launcher."""
        named = self.framework_parameters.get(DISTRIBUTION_GROUPS_PARAMETER)
        if isinstance(named, list):
            return tuple(named)
        switched_on = any(self.framework_parameters.get(name) for name in LAUNCHER_PARAMETERS)
        return (self.resources.group_name,) if switched_on else ()

    @property
    def distribution_hosts(self) -> tuple[str, ...]:
        """The hosts of `distribution_groups`; all hosts where no groups are described."""
        if not self.resources.groups:
            return self.hosts
        chosen = (g for g in self.resources.groups if g.name in self.distribution_groups)
        return tuple(host for group in chosen for host in group.hosts)

    @property
    def master_host(self) -> str:
        """The host that coordinates: the first one that takes part."""
        return (self.distribution_hosts or self.hosts)[0]

    @property
    def is_master(self) -> bool:
        """Whether this host coordinates."""
        return self.current_host == self.master_host

    @property
    def channel_folders(self) -> dict[str, str]:
        """The folder of each channel."""
        return {name: str(channel.path) for name, channel in self.channels.items()}

    def user_arguments(self) -> list[str]:
        """The command line of the user's script: its hyperparameters, sorted by name."""
        return encoding.arguments(self.hyperparameters)

    def to_env_vars(self) -> dict[str, str]:
        """All SM_* variables that scripts may read, under the training toolkit's names."""
        facts = self._facts() | self._groups() | self._folders()
        facts |= {f"channel_{name}": path for name, path in self.channel_folders.items()}
        facts |= {f"hp_{name}": value for name, value in self.hyperparameters.items()}
        facts["training_env"] = self.as_dict()
        return encoding.variables(facts)

    def other_variables(self) -> dict[str, str]:
        """What the training toolkit leaves in the script's process besides the SM_* variables.

        Libraries look for them: transformers knows by SAGEMAKER_JOB_NAME that it runs in a job.
        """
        return {
            "CURRENT_HOST": self.current_host,
            "SAGEMAKER_JOB_NAME": _text(self.toolkit_parameters, JOB_NAME_PARAMETER)
            or self.job_name,
            "SAGEMAKER_REGION": self.region,
        }

    def as_dict(self) -> dict[str, Any]:
        """The content of SM_TRAINING_ENV, under the training toolkit's names."""
        summary = self._facts() | self._groups() | self._folders()
        renamed = {"hyperparameters": summary.pop("hps")}
        renamed["additional_framework_parameters"] = summary.pop("framework_params")
        for name in ("channels", "user_args"):
            del summary[name]
        return (
            summary
            | renamed
            | {
                "channel_input_dirs": self.channel_folders,
                "distribution_hosts": list(self.distribution_hosts),
                "is_master": self.is_master,
                "job_name": self.job_name,
                "master_hostname": self.master_host,
            }
        )

    def _facts(self) -> dict[str, Any]:
        resources = self.resources
        facts: dict[str, Any] = {
            "hosts": list(resources.hosts),
            "current_host": resources.current_host,
            "network_interface_name": resources.network_interface,
            "current_instance_type": resources.instance_type,
            "hps": dict(self.hyperparameters),
            "user_args": self.user_arguments(),
            "user_entry_point": self.entry_point,
            "framework_params": dict(self.framework_parameters),
            "framework_module": self.framework_module,
            "resource_config": dict(resources.document),
            "input_data_config": dict(self.input_data_config),
            "channels": sorted(self.channels),
            "module_name": self.module_name,
            "log_level": self.log_level,
            "num_cpus": self.num_cpus,
            "num_gpus": self.num_gpus,
            "num_neurons": self.num_neurons,
        }
        if "topology" in resources.document:
            facts["topology"] = resources.document["topology"]
        return facts

    def _groups(self) -> dict[str, Any]:
        resources = self.resources
        return {
            "current_instance_group": resources.group_name,
            "current_instance_group_hosts": list(resources.group_hosts),
            "instance_groups": [group.name for group in resources.groups],
            "instance_groups_dict": {group.name: group.as_dict() for group in resources.groups},
            "distribution_instance_groups": list(self.distribution_groups),
            "is_hetero": len(resources.groups) > 1,
        }

    def _folders(self) -> dict[str, Any]:
        return {
            "module_dir": self.submit_directory,
            "model_dir": str(self.paths.model),
            "input_dir": str(self.paths.input),
            "input_config_dir": str(self.paths.config),
            "output_dir": str(self.paths.output),
            "output_data_dir": str(self.paths.output_data),
            "output_intermediate_dir": str(self.paths.output_intermediate),
        }


def _split(
    decoded: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The user's own hyperparameters, those for a framework, and the toolkit's settings."""
    own: dict[str, Any] = {}
    framework: dict[str, Any] = {}
    toolkit: dict[str, Any] = {}
    for name, value in decoded.items():
        if name in TOOLKIT_PARAMETERS:
            toolkit[name] = value
        elif name.startswith("sagemaker_"):
            framework[name] = value
        else:
            own[name] = value
    return own, framework, toolkit


def _text(toolkit: Mapping[str, Any], name: str) -> str:
    value = toolkit.get(name)
    return "" if value is None else str(value)


def _entry_point(toolkit: Mapping[str, Any], variables: Mapping[str, str]) -> str | None:
    return variables.get(PROGRAM_VARIABLE) or _text(toolkit, PROGRAM_PARAMETER) or None


def _region(variables: Mapping[str, str]) -> str:
    names = ("SAGEMAKER_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    return next((variables[name] for name in names if variables.get(name)), "")


def _log_level(toolkit: Mapping[str, Any], variables: Mapping[str, str]) -> int:
    """The hyperparameter beats the variable; both hold a number of Python's logging module."""
    given = _text(toolkit, LOG_LEVEL_PARAMETER) or variables.get(LOG_LEVEL_VARIABLE, "")
    return int(given) if given.isdigit() else logging.INFO

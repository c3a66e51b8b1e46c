"""The job as an object, and its folders."""

from sagemaker_training.environment import (
    Environment,
    base_dir,
    channel_path,
    code_dir,
    input_config_dir,
    input_dir,
    model_dir,
    output_data_dir,
    output_dir,
    output_intermediate_dir,
    read_hyperparameters,
    read_input_data_config,
    read_resource_config,
)

TrainingEnv = Environment

__all__ = [
    "TrainingEnv",
    "base_dir",
    "channel_path",
    "code_dir",
    "input_config_dir",
    "input_dir",
    "model_dir",
    "output_data_dir",
    "output_dir",
    "output_intermediate_dir",
    "read_hyperparameters",
    "read_input_data_config",
    "read_resource_config",
]

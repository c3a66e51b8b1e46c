"""What scripts import of SageMaker Containers, the library of the older framework images.

`training_env()`, `beta.framework` (content_types, encoders, env, errors, modules, transformer,
worker), `entry_point` for hosts that wait for one another, and some of the same under their
underscored names.
"""

from __future__ import annotations

from sagemaker_training.environment import Environment


def training_env() -> Environment:
    """The training job that this process belongs to."""
    return Environment()

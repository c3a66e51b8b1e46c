"""What a container needs to honour the SageMaker training contract."""

from sagelocal_train.config import Channel, Checkpoints, InstanceGroup, Resources
from sagelocal_train.environment import Environment
from sagelocal_train.errors import AlgorithmError, PlatformError, TrainingError, UserError
from sagelocal_train.paths import Paths

__all__ = [
    "AlgorithmError",
    "Channel",
    "Checkpoints",
    "Environment",
    "InstanceGroup",
    "Paths",
    "PlatformError",
    "Resources",
    "TrainingError",
    "UserError",
]

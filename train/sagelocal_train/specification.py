"""An algorithm's declarations together, as CreateAlgorithm's TrainingSpecification.

{"TrainingImage", "SupportedHyperParameters", "SupportedTrainingInstanceTypes",
 "SupportsDistributedTraining", "MetricDefinitions", "TrainingChannels",
 "SupportedTuningJobObjectiveMetrics"}            (botocore: sagemaker, TrainingSpecification)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagelocal_train.channels import Channels
from sagelocal_train.hyperparameters import Hyperparameters
from sagelocal_train.metrics import Metrics


@dataclass(frozen=True)
class Algorithm:
    """What an algorithm takes and prints."""

    hyperparameters: Hyperparameters
    channels: Channels
    metrics: Metrics
    distributed: bool = False

    def training_specification(
        self, training_image: str, instance_types: Sequence[str]
    ) -> dict[str, Any]:
        """The TrainingSpecification of CreateAlgorithm for an image at its final address."""
        specification: dict[str, Any] = {
            "TrainingImage": training_image,
            "SupportedHyperParameters": self.hyperparameters.specification(),
            "SupportedTrainingInstanceTypes": list(instance_types),
            "SupportsDistributedTraining": self.distributed,
            "MetricDefinitions": self.metrics.definitions(),
            "TrainingChannels": self.channels.specification(),
        }
        objectives = self.metrics.objectives()
        if objectives:
            specification["SupportedTuningJobObjectiveMetrics"] = objectives
        return specification

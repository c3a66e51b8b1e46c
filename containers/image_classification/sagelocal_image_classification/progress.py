"""When a job may stop, and when an epoch is worth keeping.

The best epoch is that of the highest validation accuracy, the first of equals. `early_stopping`
waits for at least `min_epochs`, then for `patience` epochs in a row without an improvement; one
counts if it is larger than `tolerance` times the best accuracy so far (developer guide, "Image
Classification Hyperparameters").
"""

from __future__ import annotations

from dataclasses import dataclass

from sagelocal_image_classification.hyperparameters import Settings


@dataclass(slots=True)
class Progress:
    """What the epochs so far have come to."""

    settings: Settings
    best: float = -1.0
    epochs: int = 0
    reference: float = -1.0
    without_improvement: int = 0

    def add(self, accuracy: float) -> bool:
        """Count an epoch; whether it is the best so far."""
        self.epochs += 1
        margin = self.settings.early_stopping_tolerance * max(self.reference, 0.0)
        if accuracy > self.reference + margin:
            self.reference, self.without_improvement = accuracy, 0
        else:
            self.without_improvement += 1
        is_best = accuracy > self.best
        self.best = max(self.best, accuracy)
        return is_best

    @property
    def figures(self) -> dict[str, float]:
        """All but the settings, for a checkpoint."""
        return {
            "best": self.best,
            "epochs": self.epochs,
            "reference": self.reference,
            "without_improvement": self.without_improvement,
        }

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or early stopping ends the job now."""
        return self.epochs >= self.settings.epochs or self.stops_early

    @property
    def stops_early(self) -> bool:
        """Whether early stopping ends the job now."""
        settings = self.settings
        return (
            settings.early_stopping
            and self.epochs >= settings.early_stopping_min_epochs
            and self.without_improvement >= settings.early_stopping_patience
        )

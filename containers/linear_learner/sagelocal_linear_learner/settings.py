"""What a job asks for, typed: the hyperparameters after validation.

None stands for "auto" where the value depends on the data; everything else is settled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PredictorType = Literal["regressor", "binary_classifier", "multiclass_classifier"]
OptimizerName = Literal["sgd", "adam", "rmsprop"]
Criterion = Literal[
    "accuracy",
    "f_beta",
    "f1",
    "precision_at_target_recall",
    "recall_at_target_precision",
    "loss_function",
    "cross_entropy_loss",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    predictor_type: PredictorType
    num_classes: int = 1
    loss: str = "squared_loss"
    optimizer: OptimizerName = "adam"
    accuracy_top_k: int = 3
    balance_multiclass_weights: bool = False
    beta_1: float = 0.7
    beta_2: float = 0.999
    bias_lr_mult: float = 1.0
    bias_wd_mult: float = 0.0
    binary_classifier_model_selection_criteria: Criterion = "accuracy"
    early_stopping_patience: int = 3
    early_stopping_tolerance: float = 0.001
    epochs: int = 15
    f_beta: float = 1.0
    feature_dim: int | None = None
    huber_delta: float = 1.0
    init_bias: float = 0.0
    init_method: Literal["uniform", "normal"] = "uniform"
    init_scale: float = 0.07
    init_sigma: float = 0.01
    l1: float | None = None
    learning_rate: float | None = None
    loss_insensitivity: float = 0.01
    lr_scheduler_factor: float | None = None
    lr_scheduler_minimum_lr: float | None = None
    lr_scheduler_step: int | None = None
    margin: float = 1.0
    mini_batch_size: int = 1000
    mini_batch_size_is_given: bool = True
    momentum: float = 0.9
    normalize_data: bool = True
    normalize_label: bool = True
    num_calibration_samples: int | None = None
    num_models: int | None = None
    num_point_for_scaler: int = 10_000
    positive_example_weight_mult: float | Literal["balanced", "auto"] = 1.0
    quantile: float = 0.5
    target_precision: float = 0.8
    target_recall: float = 0.8
    unbias_data: bool = True
    unbias_label: bool = True
    use_bias: bool = True
    use_lr_scheduler: bool = True
    wd: float | None = None

    @property
    def outputs(self) -> int:
        """How many numbers the model gives per row."""
        return self.num_classes if self.predictor_type == "multiclass_classifier" else 1

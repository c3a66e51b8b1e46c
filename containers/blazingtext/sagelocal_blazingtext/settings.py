"""What a training job asks for, checked and typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["supervised", "skipgram", "cbow", "batch_skipgram"]
MODES: tuple[Mode, ...] = ("batch_skipgram", "cbow", "skipgram", "supervised")


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters by their own names; see the README for each."""

    mode: Mode
    batch_size: int = 11
    buckets: int = 2_000_000
    early_stopping: bool = False
    epochs: int = 5
    evaluation: bool = True
    learning_rate: float = 0.05
    max_char: int = 6
    min_char: int = 3
    min_count: int = 5
    min_epochs: int = 5
    negative_samples: int = 5
    patience: int = 4
    sampling_threshold: float = 0.0001
    subwords: bool = False
    vector_dim: int = 100
    window_size: int = 5
    word_ngrams: int = 2

    @property
    def is_supervised(self) -> bool:
        """Whether texts are classified; otherwise words get vectors."""
        return self.mode == "supervised"

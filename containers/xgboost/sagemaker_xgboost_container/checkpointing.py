"""Checkpoints of a script's own `xgboost.train`, for jobs on spot instances.

    bst = checkpointing.train(train_args, "/opt/ml/checkpoints")

or, in the script's own call, `load_checkpoint` and `save_checkpoint`. The files are those of the
built-in algorithm, one after each round, and the last few are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xgboost
from sagelocal_xgboost.callbacks import (
    CHECKPOINTS_KEPT,
    CheckpointFolder,
    EvaluationLog,
    RoundLog,
    is_first,
)
from xgboost.callback import TrainingCallback

USUAL_ROUNDS = 10
"""How many `xgboost.train` does if it is not told."""


def train(train_args: dict[str, Any], checkpoint_dir: str) -> xgboost.Booster:
    """`xgboost.train(**train_args)`, going on after the last checkpoint if there is one."""
    previous, start = CheckpointFolder(Path(checkpoint_dir)).load() or (None, 0)
    rounds = train_args.get("num_boost_round", USUAL_ROUNDS) - start
    callbacks = [
        *(train_args.get("callbacks") or ()),
        RoundLog(start),
        save_checkpoint(checkpoint_dir, start_iteration=start),
    ]
    more = {"xgb_model": previous, "num_boost_round": rounds, "callbacks": callbacks}
    return xgboost.train(**{**train_args, "verbose_eval": False, **more})


def load_checkpoint(checkpoint_dir: str | None, max_try: int = 5) -> tuple[str | None, int]:
    """The file of the last checkpoint that can be read, and how many rounds are in it.

    (None, 0) if there is none.
    """
    found = CheckpointFolder(Path(checkpoint_dir)).last() if checkpoint_dir else None
    return (str(found[0]), found[1]) if found else (None, 0)


def save_checkpoint(
    checkpoint_dir: str,
    start_iteration: int = 0,
    max_to_keep: int = CHECKPOINTS_KEPT,
    num_round: int | None = None,
    rank: int = 0,
    iteration: int = 0,
    end_iteration: int | None = None,
) -> SaveCheckpoint:
    """A callback for `xgboost.train` that saves a checkpoint after each round.

    `start_iteration` is what load_checkpoint gave; the last four are known without being told.
    """
    return SaveCheckpoint(checkpoint_dir, start_iteration, max_to_keep)


class SaveCheckpoint(TrainingCallback):
    """Writes `xgboost-checkpoint.N` after round N; of several hosts the first one does."""

    def __init__(
        self,
        checkpoint_dir: str,
        start_iteration: int = 0,
        max_to_keep: int = CHECKPOINTS_KEPT,
        num_round: int | None = None,
    ) -> None:
        super().__init__()
        self._folder = CheckpointFolder(Path(checkpoint_dir), max_to_keep)
        self._start = start_iteration

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        """Save the round; never ends the training."""
        if is_first():
            self._folder.save(model, self._start + epoch)
        return False


SaveCheckpointCallBack = SaveCheckpoint

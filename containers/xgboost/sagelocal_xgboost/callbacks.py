"""What happens after each round: the line in the log, a checkpoint, and whether to go on.

    [0]<TAB>train-rmse:8.10312<TAB>validation-rmse:8.20447

The line is XGBoost's own, which metric regexes look for; CloudWatch shows its tabs as `#011`. Of
several hosts the first one writes and saves.
"""

from __future__ import annotations

import logging
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import xgboost
from xgboost import collective
from xgboost.callback import TrainingCallback

from sagelocal_xgboost import artifact

logger = logging.getLogger(__name__)

EvaluationLog = dict[str, dict[str, Any]]
"""The values of each metric so far, by data set and metric."""

CHECKPOINT_NAME = "xgboost-checkpoint"
CHECKPOINTS_KEPT = 5
UPLOADING, UPLOADED = ".sagemaker-uploading", ".sagemaker-uploaded"
"""What the platform puts beside a file while it copies it to S3, and after."""

_CHECKPOINT = re.compile(rf"{CHECKPOINT_NAME}\.([0-9]+)\Z")
# A checkpoint may cost this share of the time since the last one.
_SHARE_OF_TIME = 0.05


def is_first() -> bool:
    """Whether this process writes and saves: the first of several, or the only one."""
    return int(collective.get_rank()) == 0


class RoundLog(TrainingCallback):
    """Prints the metrics of each round; `start` is the number of the first."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self._start = start

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        """Print the line; never ends the training."""
        if evals_log and is_first():
            print(round_line(self._start + epoch, evals_log), flush=True)
        return False


def round_line(number: int, evals_log: EvaluationLog) -> str:
    """`[0]<TAB>train-rmse:8.10312<TAB>validation-rmse:8.20447`."""
    values = [
        f"{data}-{metric}:{scores[-1]:.5f}"
        for data, metrics in evals_log.items()
        for metric, scores in metrics.items()
    ]
    return "\t".join([f"[{number}]", *values])


class Stop(TrainingCallback):
    """Ends training after the round in which SIGTERM or Ctrl-C came to any of the hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: int | None = None
        """The signal that asked for it."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals' place for as long as the library computes, which no exception ends."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._ask) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        """Whether some host was told to stop."""
        if collective.is_distributed():
            asked = np.array([float(self.requested or 0)])
            self.requested = int(collective.allreduce(asked, collective.Op.MAX)[0]) or None
        return self.requested is not None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.requested = number


class Saver(TrainingCallback):
    """Saves the model while it grows, as often as costs little, and when training ends.

    `save(model, number)` gets the number of the last round in it.
    """

    def __init__(self, save: Callable[[xgboost.Booster, int], Any], start: int = 0) -> None:
        super().__init__()
        self._save = save
        self._start = start
        self._saved = -1
        self._next = 0.0

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        """Save if it is time; never ends the training."""
        if is_first() and time.monotonic() >= self._next:
            self._save_now(model, self._start + epoch)
        return False

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        """Save the last round."""
        last = int(model.num_boosted_rounds()) - 1
        if is_first() and last > self._saved:
            self._save_now(model, last)
        return model

    def _save_now(self, model: xgboost.Booster, number: int) -> None:
        started = time.monotonic()
        self._save(model, number)
        ended = time.monotonic()
        self._saved = number
        self._next = ended + (ended - started) / _SHARE_OF_TIME


class CheckpointFolder:
    """Checkpoints of one job: `xgboost-checkpoint.N` after round N, the last few of them."""

    def __init__(self, folder: Path, kept: int = CHECKPOINTS_KEPT) -> None:
        self._folder = folder
        self._kept = kept

    def load(self) -> tuple[xgboost.Booster, int] | None:
        """The last model that can be read, and how many rounds it has; None without any."""
        for model, _, rounds in self._readable():
            return model, rounds
        return None

    def last(self) -> tuple[Path, int] | None:
        """The file of that model, and how many rounds it has; None without any."""
        for _, path, rounds in self._readable():
            return path, rounds
        return None

    def _readable(self) -> Iterator[tuple[xgboost.Booster, Path, int]]:
        """The models, the last one first."""
        for number, path in reversed(self._checkpoints()):
            try:
                model = artifact.load(path)
            except artifact.ArtifactError as error:
                logger.warning("A checkpoint is passed over: %s", error)
                continue
            logger.info("Checkpoint loaded from %s", path)
            logger.info("Resuming from iteration %s", number + 1)
            yield model, path, number + 1

    def save(self, model: xgboost.Booster, number: int) -> None:
        """Write one, and delete those that are old and not being uploaded."""
        self._folder.mkdir(parents=True, exist_ok=True)
        artifact.save(model, self._folder / f"{CHECKPOINT_NAME}.{number}")
        for _, path in self._checkpoints()[: -self._kept]:
            uploading = path.with_name(path.name + UPLOADING).exists()
            if not uploading or path.with_name(path.name + UPLOADED).exists():
                path.unlink(missing_ok=True)

    def _checkpoints(self) -> list[tuple[int, Path]]:
        """Numbers and files, the oldest first."""
        if not self._folder.is_dir():
            return []
        found = ((_CHECKPOINT.match(path.name), path) for path in self._folder.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)

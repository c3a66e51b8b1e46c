"""The checkpoints of a job that has a CheckpointConfig: an interrupted job goes on where it was.

    image-classification-0007.params   the parameters after the 7th epoch, as in the model folder
    image-classification-0007.states   what the optimiser remembers, as MXNet's Module saves it
    image-classification-0004.params   what the model folder held by then: the best epoch, often
    image-classification.json          which epochs these are, how good they were, of which network

The service copies the folder to the job's S3Uri while it changes, and back before the job starts
again (developer guide, "Checkpoints in Amazon SageMaker AI": this algorithm is one of those that
use it). So every file gets its name when it is whole, the JSON file as the last of an epoch, and
only then are older ones removed.
"""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_image_classification import artifact
from sagelocal_image_classification.artifact import PREFIX, parameters_name
from sagelocal_image_classification.hyperparameters import Settings
from sagelocal_image_classification.progress import Progress

log = logging.getLogger("sagelocal_image_classification")

_INDEX = f"{PREFIX}.json"
_UNFINISHED = ".unfinished"
# What MXNet's pickle of an optimiser's arrays names, for all of the algorithm's optimisers.
_IN_STATES = {("mxnet.ndarray.ndarray", "NDArray"), ("builtins", "bytearray")}


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an interrupted job stood. `saved` are the files that its model folder held."""

    arguments: dict[str, Any]
    auxiliary: dict[str, Any]
    states: Path
    progress: Progress
    saved: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The folder of checkpoints; None for a job without, which does nothing then."""

    folder: Path | None
    settings: Settings

    @staticmethod
    def of(environment: Environment, settings: Settings) -> Checkpoints:
        """The checkpoints of a job."""
        found = environment.checkpoints
        return Checkpoints(None if found is None else found.local_path, settings)

    def read(self) -> Resumed | None:
        """What an earlier run of the job left; raises UserError if it is of another network."""
        if self.folder is None or not (self.folder / _INDEX).is_file():
            return None
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
            self._check(index["network"])
            progress = Progress(self.settings, **index["progress"])
            newest = self.folder / parameters_name(progress.epochs)
            arguments, auxiliary = artifact.read_parameters(newest)
            saved = tuple(self.folder / Path(name).name for name in index["saved"])
        except (ValueError, TypeError, KeyError, artifact.ArtifactError) as error:
            raise UserError(
                f"The checkpoint {self.folder / _INDEX} cannot be read: {error!r}. Empty the "
                "S3Uri of the job's CheckpointConfig, or give it another"
            ) from error
        for missing in (path for path in (_states(newest), *saved) if not path.is_file()):
            raise UserError(
                f"The checkpoint {self.folder / _INDEX} needs {missing.name}, which is not beside "
                "it. Put it there, or empty the S3Uri of the job's CheckpointConfig"
            )
        _check_states(_states(newest))
        log.info("Resuming from the checkpoint of %d epochs in %s", progress.epochs, self.folder)
        return Resumed(arguments, auxiliary, _states(newest), progress, saved)

    def write(self, module: Any, progress: Progress, saved: Sequence[Path]) -> None:
        """Keep an epoch that is over: the module's state, and what the model folder holds."""
        folder = self.folder
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        before = set(folder.glob(f"{PREFIX}-*"))
        arguments, auxiliary = module.get_params()
        newest = artifact.save_parameters(arguments, auxiliary, progress.epochs, folder)
        unfinished = _states(newest).with_suffix(_UNFINISHED)
        module.save_optimizer_states(str(unfinished))
        unfinished.replace(_states(newest))
        for path in saved:
            if not (folder / path.name).exists():
                _copy(path, folder)
        index = {
            "progress": progress.figures,
            "network": _network(self.settings),
            "saved": [path.name for path in saved],
        }
        unfinished = folder / f"{PREFIX}{_UNFINISHED}"
        unfinished.write_text(json.dumps(index), encoding="utf-8")
        unfinished.replace(folder / _INDEX)
        kept = {newest.name, _states(newest).name, *index["saved"]}
        for path in before:
            if path.name not in kept:
                path.unlink()

    def _check(self, network: dict[str, Any]) -> None:
        differing = [
            f"{name} is {wanted!r}, the checkpoint's is {network[name]!r}"
            for name, wanted in _network(self.settings).items()
            if network[name] != wanted
        ]
        if differing:
            raise UserError(
                f"The checkpoints in {self.folder} are of another job: {'; '.join(differing)}. "
                "Give the job's CheckpointConfig another S3Uri, or the job these hyperparameters"
            )


class _Arrays(pickle.Unpickler):
    """Reads arrays and what holds them, and runs nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _IN_STATES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only arrays are read")
        return super().find_class(module, name)


def _check_states(path: Path) -> None:
    """Raises UserError for what holds more than arrays: MXNet would run all that it says."""
    try:
        with path.open("rb") as file:
            _Arrays(file).load()
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
        *(AttributeError, MemoryError, mx.MXNetError),
    ) as error:
        raise UserError(
            f"The checkpoint {path} holds no states of an optimiser: {error}. Empty the S3Uri of "
            "the job's CheckpointConfig, or give it another"
        ) from error


def restore(saved: Sequence[Path], folder: Path) -> list[Path]:
    """Put what an earlier run had saved into the model folder; the files there."""
    return [_copy(path, folder) for path in saved]


def _network(settings: Settings) -> dict[str, Any]:
    """What must be the same for parameters and optimiser to fit."""
    return {
        "num_layers": settings.num_layers,
        "image_shape": list(settings.image_shape),
        "num_classes": settings.num_classes,
        "multi_label": settings.multi_label,
        "optimizer": settings.optimizer,
    }


def _states(parameters: Path) -> Path:
    return parameters.with_suffix(".states")


def _copy(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{path.name}{_UNFINISHED}"
    shutil.copyfile(path, unfinished)
    return unfinished.replace(folder / path.name)

"""The files of the model folder, by the original's names.

    model_algo-1-symbol.json     the network, as MXNet loads it
    model_algo-1-0000.params     its weights, as MXNet loads them
    model_algo-1-config.json     what else there is to know: lengths, lags, scales

What is in the original's files is documented nowhere; its network cannot be read here.
"""

from __future__ import annotations

import json
from pathlib import Path

from sagelocal_formats import FormatError, mxnet_ndarray

from sagelocal_deepar.forecaster import Forecaster
from sagelocal_deepar.shape import Shape

SYMBOL, PARAMETERS, CONFIG = "-symbol.json", "-0000.params", "-config.json"
_ALGORITHM = "forecasting-deepar"
_FOREIGN = "Models that the cloud has trained cannot be read here: train the model with this image"


class LoadError(Exception):
    """A model folder that cannot be served: says which file and why."""


def save_config(prefix: Path, shape: Shape) -> None:
    """Write PREFIX-config.json beside what `network.save` writes."""
    document = {"algorithm": _ALGORITHM, **shape.to_json()}
    _beside(prefix, CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Forecaster:
    """The model of a model folder; raises LoadError."""
    found = sorted(folder.rglob(f"model_*{PARAMETERS}"))
    if not found:
        held = ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"
        raise LoadError(f"The model folder has no model_algo-1{PARAMETERS}; it holds {held}")
    parameters = found[0]
    prefix = parameters.with_name(parameters.name.removesuffix(PARAMETERS))
    shape = _shape(_beside(prefix, CONFIG))
    try:
        arrays = mxnet_ndarray.loads(parameters.read_bytes(), parameters.name).by_name()
        return Forecaster(shape, {name.partition(":")[2]: each for name, each in arrays.items()})
    except KeyError as error:
        raise LoadError(f"{parameters.name} has no array {error}. {_FOREIGN}") from error
    except (FormatError, ValueError) as error:
        raise LoadError(f"{parameters.name} cannot be read: {error}") from error


def _shape(config: Path) -> Shape:
    if not config.is_file():
        raise LoadError(f"The model folder has no {config.name} beside the weights. {_FOREIGN}")
    try:
        return Shape.from_json(json.loads(config.read_bytes()))
    except KeyError as error:
        raise LoadError(f"{config.name} does not say {error}. {_FOREIGN}") from error
    except (ValueError, TypeError) as error:
        raise LoadError(f"{config.name} cannot be read: {error}") from error


def _beside(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)

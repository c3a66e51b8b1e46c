"""The models that need no script: what MXNet itself saves.

    model-symbol.json, model-0000.params, model-shapes.json    a Module checkpoint
    model-symbol.json, model-0000.params                       HybridBlock.export("model")

The first is the layout that SageMaker's MXNet containers read; its shapes file is
`[{"name": "data", "shape": [1, 28, 28]}]`, the first number being the batch size (SageMaker Python
SDK documentation, "Deploy MXNet models"). The second is an extension.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx

PREFIX = "model"
SYMBOL_FILE = "model-symbol.json"
PARAMETERS_FILE = "model-0000.params"
SHAPES_FILE = "model-shapes.json"
BATCH_SIZE_VARIABLE = "SAGEMAKER_DEFAULT_MODEL_FIRST_DIMENSION_SIZE"

Model = Any
"""A mxnet.module.BaseModule or a mxnet.gluon.Block; mxnet has no type annotations."""


class ModelNotReadable(ValueError):
    """The model folder does not hold what the default loader reads; the text says what is there."""


@dataclass(frozen=True)
class Input:
    """One input of a network: its name, and its shape with the batch size first."""

    name: str
    shape: tuple[int, ...]


def load(model_dir: str) -> Model:
    """The model in `model_dir`, on the CPU; raises ModelNotReadable."""
    folder = Path(model_dir)
    missing = [n for n in (SYMBOL_FILE, PARAMETERS_FILE) if not (folder / n).is_file()]
    if missing:
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise ModelNotReadable(
            f"The model has no {' and no '.join(missing)}; {folder} holds: {there}. Save "
            f"it as {SYMBOL_FILE}, {PARAMETERS_FILE} and {SHAPES_FILE}, or define model_fn in "
            "inference.py"
        )
    if (folder / SHAPES_FILE).is_file():
        return _load_module(folder, read_inputs(folder / SHAPES_FILE))
    return _load_block(folder)


def read_inputs(path: Path) -> list[Input]:
    """The inputs that a shapes file names; raises ModelNotReadable when it is not one."""
    batch_size = os.environ.get(BATCH_SIZE_VARIABLE)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        inputs = [Input(entry["name"], tuple(map(int, entry["shape"]))) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelNotReadable(
            f'{path} is not a list like [{{"name": "data", "shape": [1, 28, 28]}}]: {error!r}'
        ) from error
    if batch_size is None:
        return inputs
    return [Input(entry.name, (int(batch_size), *entry.shape[1:])) for entry in inputs]


def _load_module(folder: Path, inputs: list[Input]) -> Model:
    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(folder / PREFIX), 0)
    names = [entry.name for entry in inputs]
    module = mx.mod.Module(symbol=symbol, context=mx.cpu(), data_names=names, label_names=None)
    module.bind(for_training=False, data_shapes=[(entry.name, entry.shape) for entry in inputs])
    module.set_params(arguments, auxiliary, allow_missing=True)
    return module


def _load_block(folder: Path) -> Model:
    parameters = mx.nd.load(str(folder / PARAMETERS_FILE))
    learned = {name.partition(":")[2] for name in parameters}
    symbol = mx.sym.load(str(folder / SYMBOL_FILE))
    inputs = [name for name in symbol.list_inputs() if name not in learned]
    return mx.gluon.SymbolBlock.imports(
        str(folder / SYMBOL_FILE), inputs, str(folder / PARAMETERS_FILE), ctx=mx.cpu()
    )

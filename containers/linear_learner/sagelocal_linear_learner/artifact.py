"""The model archive `model_algo-1`: a ZIP that MXNet users unpack and load.

    mx-mod-symbol.json        the graph: data -> fc0 (FullyConnected) -> out
    mx-mod-0000.params        arg:fc0_weight (outputs x features), arg:fc0_bias (outputs)
    additional-params.json    what the graph does not say: kind of model, threshold
    manifest.json             which of the files is what

The names are those of the original algorithm. Its own graph ends in a layer with a second input,
`out_label`, which MXNet's SymbolBlock takes for a missing parameter; the graph written here ends
in the same function without that input, so every way to load it works. Both forms are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from sagelocal_first_party.artifact import (
    ArtifactError,
    find,
    listing,
    pack,
    unpacked,
)
from sagelocal_formats import FormatError, mxnet_ndarray, mxnet_symbol
from sagelocal_formats.mxnet_symbol import Symbol, SymbolBuilder

from sagelocal_linear_learner.model import NEUTRAL_THRESHOLD, LinearModel, Link
from sagelocal_linear_learner.settings import PredictorType

SYMBOL = "mx-mod-symbol.json"
PARAMS = "mx-mod-0000.params"
ADDITIONAL = "additional-params.json"
MANIFEST = "manifest.json"
WEIGHT, BIAS = "fc0_weight", "fc0_bias"

_OPERATORS: dict[Link, str] = {"identity": "_copy", "sigmoid": "sigmoid", "softmax": "softmax"}
_LINKS: Mapping[str, Link] = {
    "FullyConnected": "identity",
    "_copy": "identity",
    "BlockGrad": "identity",
    "LinearRegressionOutput": "identity",
    "MAERegressionOutput": "identity",
    "MakeLoss": "identity",
    "sigmoid": "sigmoid",
    "LogisticRegressionOutput": "sigmoid",
    "softmax": "softmax",
    "SoftmaxActivation": "softmax",
    "SoftmaxOutput": "softmax",
    "Softmax": "softmax",
}
_PREDICTOR_BY_LINK: Mapping[Link, PredictorType] = {
    "identity": "regressor",
    "sigmoid": "binary_classifier",
    "softmax": "multiclass_classifier",
}


def save(model: LinearModel, archive: Path) -> None:
    """Write the archive."""
    pack(archive, _members_of(model))


def graph(outputs: int, link: Link) -> Symbol:
    """The symbol of a model with this many outputs."""
    builder = SymbolBuilder()
    inputs = [builder.variable(name) for name in ("data", WEIGHT, BIAS)]
    layer = builder.operator("FullyConnected", "fc0", inputs, {"num_hidden": str(outputs)})
    return builder.build([builder.operator(_OPERATORS[link], "out", [layer])])


def _members_of(model: LinearModel) -> dict[str, bytes]:
    outputs = len(model.bias)
    arrays = {f"arg:{WEIGHT}": model.weights, f"arg:{BIAS}": model.bias}
    additional = {
        "predictor_type": model.predictor_type,
        "feature_dim": model.width,
        "num_outputs": outputs,
        "threshold": model.threshold,
    }
    manifest = {"symbol": SYMBOL, "params": PARAMS, "additional_params": ADDITIONAL}
    return {
        ADDITIONAL: json.dumps(additional).encode(),
        MANIFEST: json.dumps(manifest).encode(),
        SYMBOL: graph(outputs, model.link).dumps().encode(),
        PARAMS: mxnet_ndarray.dumps(arrays),
    }


def load(folder: Path) -> LinearModel:
    """The model of a model folder; raises ArtifactError.

    The archive may have been written by any host, or be unpacked already.
    """
    files, name = _members(folder)
    for needed in (SYMBOL, PARAMS):
        if needed not in files:
            found = ", ".join(sorted(files)) or "nothing"
            raise ArtifactError(f"{name} has no {needed}; it holds {found}")
    try:
        symbol = mxnet_symbol.loads(files[SYMBOL], f"{name}/{SYMBOL}")
        arrays = mxnet_ndarray.loads(files[PARAMS], f"{name}/{PARAMS}").by_name()
        additional = json.loads(files.get(ADDITIONAL, b"{}"))
    except (FormatError, ValueError) as error:
        raise ArtifactError(f"{name} cannot be read: {error}") from error
    return _model(symbol, arrays, additional if isinstance(additional, dict) else {}, name)


def _members(folder: Path) -> tuple[dict[str, bytes], str]:
    """The archive's files by name, and what to call it in messages."""
    archive = find(folder)
    if archive is not None:
        return unpacked(archive), archive.name
    loose = [folder / name for name in (SYMBOL, PARAMS, ADDITIONAL) if (folder / name).is_file()]
    if loose:
        return {path.name: path.read_bytes() for path in loose}, "the model folder"
    raise ArtifactError(f"The model folder has no model_algo-1; it holds {listing(folder)}")


def _model(
    symbol: Symbol,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    additional: Mapping[str, Any],
    name: str,
) -> LinearModel:
    weights = arrays.get(f"arg:{WEIGHT}", arrays.get(WEIGHT))
    if weights is None or weights.ndim != 2:
        raise ArtifactError(f"{name} has no matrix {WEIGHT}; it holds {', '.join(arrays)}")
    bias = arrays.get(f"arg:{BIAS}", arrays.get(BIAS))
    bias = np.zeros(len(weights), np.float32) if bias is None else bias.reshape(-1)
    if len(bias) != len(weights):
        raise ArtifactError(f"{name} has {len(weights)} rows of weights and {len(bias)} biases")
    link = _link(symbol, name)
    predictor = additional.get("predictor_type")
    if predictor not in get_args(PredictorType):
        predictor = _predictor(link, len(bias))
    threshold = additional.get("threshold")
    return LinearModel(
        cast(PredictorType, predictor),
        weights.astype(np.float32),
        bias.astype(np.float32),
        link,
        float(threshold) if isinstance(threshold, int | float) else NEUTRAL_THRESHOLD[link],
    )


def _predictor(link: Link, outputs: int) -> PredictorType:
    return "multiclass_classifier" if outputs > 1 else _PREDICTOR_BY_LINK[link]


def _link(symbol: Symbol, name: str) -> Link:
    """What the graph does to the outputs of its layer."""
    operator = symbol.nodes[symbol.heads[0].node].op
    link = _LINKS.get(operator)
    if link is None:
        raise ArtifactError(
            f"{name}: the graph ends in {operator!r}; known are {', '.join(sorted(_LINKS))}"
        )
    return link

"""The models of a container, and TensorFlow Serving's three methods over them.

    predict     {"instances": [...]} -> {"predictions": [...]}, {"inputs": ...} -> {"outputs": ...}
    classify    {"examples": [...]}  -> {"results": [[[label, score], ...], ...]}
    regress     {"examples": [...]}  -> {"results": [value, ...]}

(RESTful API of TensorFlow Serving.)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sagelocal_serve.batching import Batcher

from sagelocal_tensorflow import archive, examples, saved_model, tensors, warmup
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.options import Options
from sagelocal_tensorflow.saved_model import Servable, Signature
from sagelocal_tensorflow.tensors import Array

log = logging.getLogger("sagelocal_serve")

METHODS = ("predict", "classify", "regress")


@dataclass(frozen=True)
class Run:
    """One call of a signature: what is batched."""

    servable: Servable
    signature: Signature
    inputs: Mapping[str, Array]

    @property
    def joins(self) -> object:
        """Calls with the same of this can be one; None for one that stays alone."""
        if any(array.ndim == 0 for array in self.inputs.values()):
            return None
        shapes = tuple(array.shape[1:] for array in self.inputs.values())
        return (self.servable.bundle, self.signature.name, shapes)


class Models:
    """Every version of every model that was found in an archive."""

    def __init__(self, servables: list[Servable], options: Options) -> None:
        self._by_name: dict[str, dict[int, Servable]] = {}
        for each in servables:
            self._by_name.setdefault(each.bundle.name, {})[each.bundle.version] = each
        self.default_name = options.default_model_name or next(iter(self._by_name))
        batched = options.batching.max_batch_size > 1
        self._batcher = Batcher(_run_all, options.batching) if batched else None

    @classmethod
    def load(cls, folder: Path, options: Options, name: str | None = None) -> Models:
        """Load what a model archive holds; raises NoSavedModel."""
        found = [saved_model.load(each, options) for each in archive.find(folder, name)]
        for each in found:
            warmup.replay(each)
        models = cls(found, options)
        listed = ", ".join(f"{each.bundle.name} {each.bundle.version}" for each in found)
        log.info("Models: %s; the default is %s", listed, models.default_name)
        if models.default_name not in models._by_name:
            raise archive.NoSavedModel(
                f"SAGEMAKER_TFS_DEFAULT_MODEL_NAME is {models.default_name!r}; the archive holds: "
                f"{', '.join(models._by_name)}."
            )
        return models

    def find(self, name: str | None, version: str | None) -> Servable:
        """A version of a model; by default the newest of the default model. Raises Refused."""
        wanted = name or self.default_name
        versions = self._by_name.get(wanted)
        if versions is None:
            raise Refused(
                f"Servable not found for request: Latest({wanted}). The models are: "
                f"{', '.join(self._by_name)}.",
                404,
            )
        if not version:
            return versions[max(versions)]
        if not version.isdigit() or int(version) not in versions:
            raise Refused(
                f"Servable not found for request: Specific({wanted}, {version}). The versions are: "
                f"{', '.join(map(str, sorted(versions)))}.",
                404,
            )
        return versions[int(version)]

    def versions(self, name: str) -> list[int]:
        """A model's versions, the newest first; raises Refused."""
        self.find(name, None)
        return sorted(self._by_name[name], reverse=True)

    def call(self, method: str, servable: Servable, document: Mapping[str, Any]) -> bytes:
        """The answer of one method in JSON; raises Refused."""
        name = document.get("signature_name", "")
        if not isinstance(name, str):
            raise Refused("'signature_name' key must be a string value.")
        if method not in METHODS:
            raise Refused(
                f"Malformed request: there is no method {method!r}. Methods: {', '.join(METHODS)}."
            )
        if method == "predict":
            answer = self._predict(servable, servable.signature(name), document)
        else:
            answer = self._classify_or_regress(method, servable, servable.signature(name), document)
        return tensors.write(answer)

    def _predict(
        self, servable: Servable, signature: Signature, document: Mapping[str, Any]
    ) -> dict[str, Any]:
        if not signature.inputs:
            raise Refused(f"The signature {signature.name!r} has no inputs.")
        if "instances" in document and "inputs" in document:
            raise Refused("Expecting only one of 'inputs' or 'instances' keys to exist")
        if "instances" in document:
            inputs = _from_instances(document["instances"], signature)
            return _in_rows(self._run(Run(servable, signature, inputs)))
        if "inputs" in document:
            inputs = _from_inputs(document["inputs"], signature)
            return _in_columns(self._run(Run(servable, signature, inputs)))
        raise Refused(
            "Missing 'inputs' or 'instances' key. Send {\"instances\": [...]}, one for each "
            "prediction."
        )

    def _classify_or_regress(
        self, method: str, servable: Servable, signature: Signature, document: Mapping[str, Any]
    ) -> dict[str, Any]:
        serialised = examples.read(document, method)
        input_name = signature.examples_input(method)
        outputs = self._run(Run(servable, signature, {input_name: serialised}))
        return {"results": _classes(outputs) if method == "classify" else _values(outputs)}

    def _run(self, run: Run) -> dict[str, Array]:
        if self._batcher is None:
            return run.servable.run(run.signature, run.inputs)
        return self._batcher.predict(run)


def _run_all(runs: list[Run]) -> list[dict[str, Array]]:
    """The outputs of several calls; those that fit together are computed at once."""
    groups: dict[object, list[int]] = {}
    for position, run in enumerate(runs):
        key = run.joins
        groups.setdefault(position if key is None else key, []).append(position)
    outputs: dict[int, dict[str, Array]] = {}
    for positions in groups.values():
        found = _run_together([runs[position] for position in positions])
        outputs.update(zip(positions, found, strict=True))
    return [outputs[position] for position in range(len(runs))]


def _run_together(runs: list[Run]) -> list[dict[str, Array]]:
    first = runs[0]
    if len(runs) == 1:
        return [first.servable.run(first.signature, first.inputs)]
    joined = {name: np.concatenate([run.inputs[name] for run in runs]) for name in first.inputs}
    outputs = first.servable.run(first.signature, joined)
    counts = [len(next(iter(run.inputs.values()))) for run in runs]
    if any(array.ndim == 0 or len(array) != sum(counts) for array in outputs.values()):
        # Such a model makes one answer of a batch: none of its requests may be joined.
        return [run.servable.run(run.signature, run.inputs) for run in runs]
    ends = np.cumsum(counts)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: split[at] for name, split in parts.items()} for at in range(len(runs))]


def _from_instances(instances: Any, signature: Signature) -> dict[str, Array]:
    """The row format: every instance holds a value for each input, of the same shapes."""
    if not isinstance(instances, list):
        raise Refused("Excepting 'instances' to be an list/array")
    if not instances:
        raise Refused("No values in 'instances' array")
    names = list(signature.inputs)
    if not isinstance(instances[0], dict) or tensors.is_base64(instances[0]):
        if len(names) > 1:
            raise Refused(
                "instances is a plain list, but expecting list of objects as multiple input "
                f"tensors required: {', '.join(names)}."
            )
        for position, each in enumerate(instances):
            if isinstance(each, dict) and not tensors.is_base64(each):
                raise Refused(
                    f"Expecting value/list but got object at item {position} of input list"
                )
        return {names[0]: tensors.read(instances, signature.inputs[names[0]])}
    for position, each in enumerate(instances):
        if not isinstance(each, dict) or each.keys() != set(names):
            keys = ", ".join(each) if isinstance(each, dict) else type(each).__name__
            unknown = [key for key in each if key not in names] if isinstance(each, dict) else []
            which = f"{position} key: {unknown[0]}" if unknown else str(position)
            raise Refused(
                f"Failed to process element: {which} of 'instances' list. It has {keys}; keys "
                f"must be equal to: {', '.join(names)}."
            )
    return {
        name: tensors.read([each[name] for each in instances], signature.inputs[name])
        for name in names
    }


def _from_inputs(inputs: Any, signature: Signature) -> dict[str, Array]:
    """The columnar format: a whole tensor for each input, or just the value of the only one."""
    names = list(signature.inputs)
    if not isinstance(inputs, dict) or tensors.is_base64(inputs):
        if len(names) > 1:
            raise Refused(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"required: {', '.join(names)}."
            )
        return {names[0]: tensors.read(inputs, signature.inputs[names[0]])}
    missing = [name for name in names if name not in inputs]
    if missing:
        raise Refused(
            f"Missing named input: {', '.join(missing)} in 'inputs' object, which has: "
            f"{', '.join(inputs)}."
        )
    return {name: tensors.read(inputs[name], signature.inputs[name]) for name in names}


def _in_rows(outputs: Mapping[str, Array]) -> dict[str, Any]:
    size = None
    for name, array in outputs.items():
        if not array.ndim:
            raise Refused(
                f"Tensor name: {name} has no shape information. The output is one value for all "
                'instances: send the columnar format, {"inputs": ...}.'
            )
        if size not in (None, len(array)):
            raise Refused(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}. "
                'Send the columnar format, {"inputs": ...}.'
            )
        size = len(array)
    found = {name: tensors.values(name, array) for name, array in outputs.items()}
    if len(found) == 1:
        return {"predictions": next(iter(found.values()))}
    return {"predictions": [{n: found[n][row] for n in found} for row in range(size or 0)]}


def _in_columns(outputs: Mapping[str, Array]) -> dict[str, Any]:
    found = {name: tensors.values(name, array) for name, array in outputs.items()}
    return {"outputs": next(iter(found.values())) if len(found) == 1 else found}


def _classes(outputs: Mapping[str, Array]) -> list[list[list[Any]]]:
    """Labels with their scores; a model may give but one of the two."""
    labels, scores = outputs.get("classes"), outputs.get("scores")
    known = scores if labels is None else labels
    if known is None:
        raise Refused("The signature has neither an output 'classes' nor 'scores'.", 500)
    names = np.full(known.shape, "", object) if labels is None else labels
    weights = np.zeros(known.shape, np.float32) if scores is None else scores
    texts = tensors.values("classes", names)
    return [
        [[label, score] for label, score in zip(*row, strict=True)]
        for row in zip(texts, weights, strict=True)
    ]


def _values(outputs: Mapping[str, Array]) -> Any:
    found = outputs.get("outputs")
    if found is None or found.ndim not in (1, 2) or (found.ndim == 2 and found.shape[1] != 1):
        raise Refused("The signature has no output 'outputs' of one value for each example.", 500)
    return np.ascontiguousarray(found.reshape(-1))

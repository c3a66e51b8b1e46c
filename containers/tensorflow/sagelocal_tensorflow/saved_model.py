"""One SavedModel in memory, run by the names of its signatures as TensorFlow Serving runs it.

A session over the graph, and not `tf.saved_model.load`: it knows the signatures' methods
(classify, regress), rebuilds none of the model's Python objects, and loads models of TensorFlow 1
and 2 alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from sagelocal_serve.cpus import usable_cpus
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

from sagelocal_tensorflow import tensors
from sagelocal_tensorflow.archive import Bundle, NoSavedModel
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.options import Options
from sagelocal_tensorflow.tensors import Array, Spec

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"

_TAG = "serve"
_INITIALISATION = "__saved_model_init_op"

# As TensorFlow Serving maps its codes to HTTP; all others are the model's fault.
_STATUS = {
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.NOT_FOUND: 404,
    tf.errors.RESOURCE_EXHAUSTED: 503,
    tf.errors.UNIMPLEMENTED: 501,
}
_MESSAGE_LIMIT = 1000


@dataclass(frozen=True)
class Signature:
    """One of a model's functions; inputs and outputs by their names, sorted."""

    name: str
    method: str
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]

    def examples_input(self, method: str) -> str:
        """The input that takes the examples of classify or regress; raises Refused."""
        wanted = CLASSIFY if method == "classify" else REGRESS
        if self.method != wanted:
            raise Refused(
                f"Expected {method} signature method_name to be {wanted}. Was: {self.method}, "
                f"of the signature {self.name!r}. Name another in signature_name, or call "
                "predict."
            )
        if len(self.inputs) != 1:
            raise Refused(
                f"The signature {self.name!r} takes {', '.join(self.inputs) or 'nothing'}, and "
                f"{method} gives it examples alone. Call predict."
            )
        return next(iter(self.inputs))


@dataclass(frozen=True)
class Servable:
    """A loaded version of a model. `run` may be called by several threads at once."""

    bundle: Bundle
    signatures: Mapping[str, Signature]
    #: The signatures as TensorFlow's own protobuf messages, in JSON's form.
    described: Mapping[str, Any]
    _session: Any
    _callables: dict[str, Callable[..., list[Array]]] = field(default_factory=dict)

    def signature(self, name: str) -> Signature:
        """A signature by its name, the default one by an empty name; raises Refused."""
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise Refused(
                f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature '
                f"def. The model {self.bundle.name!r} has: {', '.join(self.signatures)}."
            )
        return found

    def run(self, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for one batch of inputs; raises Refused for what the graph refuses."""
        call = self._callables.get(signature.name)
        if call is None:
            call = self._callables[signature.name] = _callable(self._session, signature)
        try:
            found = call(*(inputs[name] for name in signature.inputs))
        except tf.errors.OpError as error:
            message = str(error.message).strip()[:_MESSAGE_LIMIT]
            raise Refused(
                message + _unlike_the_signature(signature, inputs),
                _STATUS.get(error.error_code, 500),
            ) from error
        return {
            name: np.asarray(array) for name, array in zip(signature.outputs, found, strict=True)
        }


def _callable(session: Any, signature: Signature) -> Callable[..., list[Array]]:
    """The graph from the signature's inputs to its outputs.

    TensorFlow's public `make_callable` refuses arrays of another shape than the placeholder's
    before the graph sees them, which TensorFlow Serving does not.
    """
    options = config_pb2.CallableOptions(
        feed=[spec.tensor for spec in signature.inputs.values()],
        fetch=[spec.tensor for spec in signature.outputs.values()],
    )
    made: Callable[..., list[Array]] = session._make_callable_from_options(options)
    return made


def _unlike_the_signature(signature: Signature, inputs: Mapping[str, Array]) -> str:
    """What may be why the graph refused its inputs: shapes that the signature does not name."""
    return "".join(
        f" The input {spec} was given values of shape {list(inputs[name].shape)}; -1 stands for "
        "any number, and the first is the number of instances."
        for name, spec in signature.inputs.items()
        if not tensors.fits(inputs[name], spec)
    )


def load(bundle: Bundle, options: Options) -> Servable:
    """Read a SavedModel; raises NoSavedModel for one that is not for serving."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    session = v1.Session(
        graph=graph,
        config=v1.ConfigProto(
            intra_op_parallelism_threads=options.intra_op_threads or usable_cpus(),
            inter_op_parallelism_threads=options.inter_op_threads or usable_cpus(),
            allow_soft_placement=True,
        ),
    )
    verbosity = v1.logging.get_verbosity()
    v1.logging.set_verbosity(v1.logging.ERROR)  # that this way of loading is version 1's
    try:
        with graph.as_default():
            meta = v1.saved_model.load(session, [_TAG], str(bundle.folder))
    except RuntimeError as error:
        raise NoSavedModel(
            f"The SavedModel {bundle.name} {bundle.version} has no graph with the tag {_TAG!r}: "
            f"{str(error).rstrip('.')}. Save it for serving, with tf.saved_model.save or "
            "model.export."
        ) from error
    finally:
        v1.logging.set_verbosity(verbosity)
    definitions = {n: d for n, d in meta.signature_def.items() if n != _INITIALISATION}
    return Servable(
        bundle,
        {name: _signature(name, definitions[name]) for name in sorted(definitions)},
        {
            name: json_format.MessageToDict(
                definition,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            for name, definition in definitions.items()
        },
        session,
    )


def _signature(name: str, definition: Any) -> Signature:
    return Signature(
        name,
        str(definition.method_name),
        {key: _spec(key, definition.inputs[key]) for key in sorted(definition.inputs)},
        {key: _spec(key, definition.outputs[key]) for key in sorted(definition.outputs)},
    )


def _spec(name: str, info: Any) -> Spec:
    dtype = tf.dtypes.as_dtype(info.dtype)
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(int(each.size) for each in info.tensor_shape.dim)
    numpy_type = np.dtype(object) if dtype == tf.string else np.dtype(dtype.as_numpy_dtype)
    return Spec(name, str(info.name), numpy_type, types_pb2.DataType.Name(info.dtype), shape)

"""The requests that a SavedModel brings to be warmed up with, before it gets any other.

    VERSION/assets.extra/tf_serving_warmup_requests    a TFRecord file of PredictionLog messages

TensorFlow Serving replays them when it loads the model, and does not load a model whose requests
fail (TensorFlow Serving, "SavedModel Warmup"; its apis/prediction_log.proto, predict.proto,
input.proto and model.proto). Their messages are not in TensorFlow, and of the few fields that are
needed here each is text, bytes or a message, so they are read without descriptions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from google.protobuf import empty_pb2, unknown_fields
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2

from sagelocal_tensorflow.archive import NoSavedModel
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.saved_model import Servable, Signature
from sagelocal_tensorflow.tensors import Array

log = logging.getLogger("sagelocal_serve")

FILE = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000

# PredictionLog.log_type
_CLASSIFY, _REGRESS, _PREDICT = 2, 3, 6
_OTHERS = {4: "multi_inference_log", 5: "session_run_log", 7: "predict_streamed_log"}
# The request within each of these, and its parts.
_REQUEST, _MODEL_SPEC, _CONTENT, _SIGNATURE_NAME = 1, 1, 2, 3
_EXAMPLE_LIST, _EXAMPLE_LIST_WITH_CONTEXT = 1, 2
_EXAMPLES, _CONTEXT = 1, 2
_KEY, _VALUE = 1, 2
_DELIMITED = 2

Fields = Mapping[int, list[bytes]]


def replay(servable: Servable) -> None:
    """Run the model's own requests, if it brings any; raises NoSavedModel for one that fails."""
    path = servable.bundle.folder / FILE
    if not path.is_file():
        return
    started = time.monotonic()
    number = 0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator(), 1):
            if number > MOST_RECORDS:
                raise Refused(f"there are more than {MOST_RECORDS} of them")
            _run(servable, record)
    except (Refused, DecodeError, ValueError, TypeError, tf.errors.OpError) as error:
        # TensorFlow's own messages have the operation around them.
        said = (getattr(error, "message", None) or str(error)).rpartition("}} ")[2]
        cause = said.partition(" [Op:")[0].rstrip(".")
        raise NoSavedModel(
            f"The model {servable.bundle.name} {servable.bundle.version} cannot be warmed up by "
            f"its {FILE}, record {number}: {cause}. Write PredictionLog messages of requests that "
            "the model answers into that TFRecord file, or leave it out."
        ) from error
    seconds = time.monotonic() - started
    log.info("Warmed up %s by %d requests in %.3f s", servable.bundle.name, number, seconds)


def _run(servable: Servable, record: bytes) -> None:
    """Raises Refused, DecodeError for what is no message, ValueError and TypeError for what is no
    text or no tensor in it."""
    kinds = _fields(record)
    for other, name in _OTHERS.items():
        if other in kinds:
            raise Refused(f"a {name} is not replayed here, but predict, classify and regress logs")
    kind = next((each for each in (_PREDICT, _CLASSIFY, _REGRESS) if each in kinds), None)
    if kind is None:
        raise Refused("it is no PredictionLog")
    request = _fields(_only(_fields(_only(kinds, kind)), _REQUEST))
    name = _only(_fields(_only(request, _MODEL_SPEC)), _SIGNATURE_NAME).decode()
    signature = servable.signature(name)
    if kind == _PREDICT:
        servable.run(signature, _tensors(request.get(_CONTENT, []), signature))
    else:
        name = signature.examples_input("classify" if kind == _CLASSIFY else "regress")
        servable.run(signature, {name: _examples(_only(request, _CONTENT))})


def _tensors(entries: list[bytes], signature: Signature) -> dict[str, Array]:
    found = {}
    for entry in map(_fields, entries):
        tensor = tensor_pb2.TensorProto.FromString(_only(entry, _VALUE))
        found[_only(entry, _KEY).decode()] = tf.make_ndarray(tensor)
    if found.keys() != signature.inputs.keys():
        raise Refused(
            f"it gives {', '.join(sorted(found)) or 'nothing'} to the signature "
            f"{signature.name!r}, which takes {', '.join(signature.inputs)}"
        )
    return found


def _examples(content: bytes) -> Array:
    """Serialised tf.train.Example; one after the other in bytes, messages are merged."""
    kinds = _fields(content)
    listed = _fields(_only(kinds, _EXAMPLE_LIST_WITH_CONTEXT) or _only(kinds, _EXAMPLE_LIST))
    shared = _only(listed, _CONTEXT)
    return np.array([shared + each for each in listed.get(_EXAMPLES, [])], dtype=object)


def _fields(message: bytes) -> Fields:
    """The texts, bytes and messages of a message by their field's number."""
    found: dict[int, list[bytes]] = {}
    unknown = unknown_fields.UnknownFieldSet(empty_pb2.Empty.FromString(message))
    for field in (unknown[position] for position in range(len(unknown))):
        if field.wire_type == _DELIMITED:
            found.setdefault(field.field_number, []).append(field.data)
    return found


def _only(fields: Fields, number: int) -> bytes:
    """A field that is there once, empty if it is not: the last one counts."""
    return fields.get(number, [b""])[-1]

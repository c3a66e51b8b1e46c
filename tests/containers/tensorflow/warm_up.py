"""What becomes of a model's warm-up requests: python warm_up.py MODELS FOLDER, with the image's
Python; a line for each case. The requests are written by hand: tag, length, content.
"""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from sagelocal_tensorflow import saved_model, warmup
from sagelocal_tensorflow.archive import Bundle, NoSavedModel
from sagelocal_tensorflow.options import Options

models, folder = Path(sys.argv[1]), Path(sys.argv[2])
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")


def field(number: int, content: bytes) -> bytes:
    length, size = b"", len(content)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def model_spec(signature: str) -> bytes:
    return field(1, field(1, b"any") + field(3, signature.encode()))


def predict(signature: str, **inputs: object) -> bytes:
    entries = b"".join(
        field(
            2, field(1, name.encode()) + field(2, tf.make_tensor_proto(value).SerializeToString())
        )
        for name, value in inputs.items()
    )
    return field(6, field(1, model_spec(signature) + entries))


def example(**features: float) -> bytes:
    values = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in features.items()
    }
    message: bytes = tf.train.Example(
        features=tf.train.Features(feature=values)
    ).SerializeToString()
    return message


A_LIST = field(1, field(1, example(x=1.0)) + field(1, example(x=2.0)))
WITH_CONTEXT = field(2, field(1, example()) + field(2, example(x=3.0)))
ROW = np.array([1.0, 2.0], np.float32)
HALF = tf.make_tensor_proto(ROW)
HALF.tensor_content = HALF.tensor_content[:4]
NO_TENSOR = HALF.SerializeToString()
CASES = {
    "predict": ("sums", [predict("serving_default", a=ROW, b=np.array([1, 2], np.int32))] * 3),
    "text": ("texts", [predict("", text=np.array([b"a"]))]),
    "classify": ("half_plus_two", [field(2, field(1, model_spec("labelled") + field(2, A_LIST)))]),
    "regress": (
        "half_plus_two",
        [field(3, field(1, model_spec("tensorflow/serving/regress") + field(2, WITH_CONTEXT)))],
    ),
    "no signature": ("sums", [predict("absent", a=ROW)]),
    "inputs": ("sums", [predict("", a=ROW)]),
    "method": ("sums", [field(2, field(1, model_spec("") + field(2, A_LIST)))]),
    "name": ("sums", [field(6, field(1, field(1, field(3, b"\xff"))))]),
    "tensor": ("texts", [field(6, field(1, field(2, field(1, b"text") + field(2, NO_TENSOR))))]),
    "session": ("sums", [field(5, b"")]),
    "too many": ("texts", [predict("", text=np.array([b"a"]))] * (warmup.MOST_RECORDS + 1)),
    "no message": ("texts", [b"\xff"]),
    "no records": ("texts", None),
}
for case, (name, records) in CASES.items():
    version = sorted((models / name).iterdir())[0].name
    copy = folder / case.replace(" ", "-") / version
    shutil.copytree(models / name / version, copy)
    path = copy / warmup.FILE
    path.parent.mkdir()
    if records is None:
        path.write_bytes(b"these are no records of TensorFlow")
    else:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    servable = saved_model.load(Bundle(case, int(version), copy), Options())
    try:
        warmup.replay(servable)
    except NoSavedModel as error:
        print(error)

v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:
    builder = v1.saved_model.Builder(str(folder / "trained/1"))
    builder.add_meta_graph_and_variables(session, ["train"])
    builder.save()
try:
    saved_model.load(Bundle("trained", 1, folder / "trained/1"), Options())
except NoSavedModel as error:
    print(error)

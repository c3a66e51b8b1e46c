"""SavedModels for the tests: python make_models.py FOLDER, with the image's Python.

half_plus_two/00000123   y = x / 2 + 2; predict, classify and regress, saved by version 1's API
half_plus_two/00000124   y = x / 2 + 2.2: which version answered can be seen
sums/1                   a, b -> sum, difference
texts/1                  text -> upper, and upper_bytes for bytes
network/1                a Keras network of three features and two outputs, exported
whole/1                  x -> the sum of the batch, one value
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
folder = Path(sys.argv[1])


def half_plus(version: str, constant: float) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], "examples")
        spec = {"x": v1.FixedLenFeature([], tf.float32)}
        parsed = v1.parse_example(serialized, spec)["x"]
        slope = v1.get_variable("a", initializer=0.5)
        x = v1.placeholder(tf.float32, [None], "x")
        y, scored = slope * x + constant, slope * parsed + constant
        label = tf.where(scored > 3, tf.fill(tf.shape(scored), "high"), "low")
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info
        definition = v1.saved_model.build_signature_def

        def of(inputs: dict[str, Any], outputs: dict[str, Any], method: str) -> Any:
            return definition(
                {name: info(tensor) for name, tensor in inputs.items()},
                {name: info(tensor) for name, tensor in outputs.items()},
                f"tensorflow/serving/{method}",
            )

        columns = {"classes": label[:, None], "scores": scored[:, None]}
        signatures = {
            "serving_default": of({"x": x}, {"y": y}, "predict"),
            "tensorflow/serving/regress": of(
                {"inputs": serialized}, {"outputs": scored}, "regress"
            ),
            "labelled": of({"inputs": serialized}, columns, "classify"),
        }
        builder = v1.saved_model.Builder(str(folder / "half_plus_two" / version))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


class Sums(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="a"),
            tf.TensorSpec([None], tf.int32, name="b"),
        ]
    )
    def __call__(self, a: Any, b: Any) -> dict[str, Any]:
        return {"sum": a + tf.cast(b, tf.float32), "difference": tf.cast(a, tf.int32) - b}


class Texts(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def __call__(self, text: Any) -> dict[str, Any]:
        upper = tf.strings.upper(text)
        return {"upper": upper, "upper_bytes": upper}


class Whole(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x: Any) -> dict[str, Any]:
        return {"total": tf.reduce_sum(x)}


half_plus("00000123", 2.0)
half_plus("00000124", 2.2)
for name, module in (("sums", Sums()), ("texts", Texts()), ("whole", Whole())):
    tf.saved_model.save(module, str(folder / name / "1"), signatures=module.__call__)
network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
network.set_weights([np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])])
network.export(str(folder / "network" / "1"), verbose=False)
network.save(folder / "network.keras")

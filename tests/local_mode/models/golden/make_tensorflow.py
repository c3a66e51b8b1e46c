"""Makes the files beside it with the Python that has TensorFlow, for tests without it."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

HERE = Path(__file__).parent


class Line(tf.Module):
    """Two variables and a signature."""

    def __init__(self) -> None:
        self.slope = tf.Variable([[2.0], [3.0]], name="slope")
        self.offset = tf.Variable([-1.0], name="offset")

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="rows")])
    def __call__(self, rows):
        return {"score": rows @ self.slope + self.offset}


line = Line()
tf.saved_model.save(line, str(HERE / "line" / "1"), signatures=line.__call__)

"""Scripts for TensorFlow under `train`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

SCRIPT = """
import argparse
import os

import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--model_dir")
arguments = parser.parse_args()
tf.keras.utils.set_random_seed(1)
x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
network = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1)])
network.compile(tf.keras.optimizers.SGD(0.5), "mse")
history = network.fit(x, 3 * x + 1, epochs=arguments.epochs, batch_size=16, verbose=2)
print("model_dir", arguments.model_dir, "loss=%.6f;" % history.history["loss"][-1])
network.export(os.path.join(os.environ["SM_MODEL_DIR"], "1"))
"""


def test_a_script_trains_and_its_export_is_served(new_container: Callable[[], Any]) -> None:
    container = new_container()

    code = container.train(SCRIPT, epochs=20, model_dir="s3://bucket/model")

    assert code == 0, container.log
    assert "model_dir s3://bucket/model loss=0.000000;" in container.log
    assert "NOT be servable" not in container.log
    status, answer = container.serve().ask({"instances": [[2.0]]})
    assert status == 200
    assert answer["predictions"][0] == pytest.approx([7.0], abs=1e-3)


OF_KERAS_2 = """
import os
import numpy as np
import tensorflow as tf
from tensorflow.keras import Model
from tensorflow.keras.layers import Dense


class Network(Model):
    def __init__(self):
        super(Network, self).__init__()
        self.dense = Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)


network = Network()
network.compile(tf.keras.optimizers.Adam(learning_rate=0.0), "mse")
loss = tf.keras.metrics.Mean(name="loss")
loss.reset_states()
network.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0)
network.save(os.path.join(os.environ["SM_MODEL_DIR"], "000000001"))
"""


def test_a_script_of_the_time_of_keras_2_saves_a_model_that_is_served(
    new_container: Callable[[], Any],
) -> None:
    container = new_container()
    registry = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    container.variables["SAGELOCAL_IMAGE"] = f"{registry}/tensorflow-training:2.3.1-cpu-py37"

    code = container.train(OF_KERAS_2)

    assert code == 0, container.log
    assert "NOT be servable" not in container.log
    status, answer = container.serve().ask({"instances": [[1.0, 2.0, 4.0]]})
    assert (status, answer) == (200, {"predictions": [[7.0]]})


OF_TENSORBOARD = """
import os
import numpy as np
import tensorflow as tf

network = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1)])
network.compile("sgd", "mse")
board = tf.keras.callbacks.TensorBoard(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "board"))
network.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0, callbacks=[board])
"""


def test_a_script_writes_what_tensorboard_shows(new_container: Callable[[], Any]) -> None:
    container = new_container()

    code = container.train(OF_TENSORBOARD)

    assert code == 0, container.log
    assert [*container.base.glob("output/data/board/train/events.out.tfevents.*")]


def test_an_error_of_tensorflow_is_the_failure(new_container: Callable[[], Any]) -> None:
    container = new_container()

    code = container.train("import tensorflow as tf\ntf.reshape(tf.zeros([3]), [2])\n")

    failure = (container.base / "output" / "failure").read_text()
    assert code == 1
    assert "InvalidArgumentError" in failure
    assert "Input to reshape is a tensor with 3 values" in failure

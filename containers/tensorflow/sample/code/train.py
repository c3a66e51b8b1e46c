"""A dense layer on a CSV with the label first."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

(data,) = Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")
rows = np.loadtxt(data, delimiter=",", dtype="float32")
model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(rows[:, 1:], rows[:, 0], epochs=2, verbose=2)
model.export(os.environ["SM_MODEL_DIR"] + "/1")

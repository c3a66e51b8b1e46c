import argparse
import os

import numpy as np
import tensorflow as tf

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--model_dir", type=str)
    parser.add_argument("--sm-model-dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAINING"))
    arguments, _ = parser.parse_known_args()

    rows = np.loadtxt(os.path.join(arguments.train, "points.csv"), delimiter=",", dtype="float32")
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.SGD(arguments.learning_rate), loss="mse")
    history = model.fit(rows[:, 1:], rows[:, 0], 16, arguments.epochs, verbose=0)
    print(f"loss: {history.history['loss'][-1]:.8f}")
    print("model_dir:", arguments.model_dir)
    model.export(os.path.join(arguments.sm_model_dir, "plane", "00000001"))

    class Half(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": x / 2 + 2}

    half = Half()
    place = os.path.join(arguments.sm_model_dir, "half_plus_two", "00000001")
    tf.saved_model.save(half, place, signatures=half.__call__)

"""Write SavedModels: run by to_savedmodel with the Python of TensorFlow's image family.

Each line of standard input is a JSON object: the family, the .npz of its numbers, the folder to
write, and the formula's settings. The signature serving_default takes `data`, rows of float32, and
answers with what the algorithm does; a line of standard output says both. Imports nothing of
sagelocal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_LINKS = {"identity": tf.identity, "sigmoid": tf.sigmoid, "softmax": tf.nn.softmax}


class Formula(tf.Module):  # type: ignore[misc]  # TensorFlow is not where the types are checked
    """One family's numbers as variables, and what it answers to rows."""

    def __init__(self, job: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        super().__init__()
        self.numbers = {name: tf.Variable(array, name=name) for name, array in numbers.items()}
        answer, features = _FAMILIES[job["family"]]

        def function(data: Any) -> dict[str, Any]:
            return answer(job, self.numbers, data)

        width = self.numbers[features[0]].shape[features[1]]
        spec = tf.TensorSpec([None, width], tf.float32, "data")
        self.serve = tf.function(function, input_signature=[spec])


def linear(job: Mapping[str, Any], numbers: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """score, and predicted_label of a classifier."""
    scores = _LINKS[job["link"]](tf.matmul(rows, numbers["weights"]) + numbers["bias"])
    if job["labels"] == "highest":
        return {"score": scores, "predicted_label": tf.argmax(scores, axis=1)}
    scores = tf.squeeze(scores, axis=1)
    return _labelled(scores, job["threshold"]) if job["labels"] else {"score": scores}


def factors(job: Mapping[str, Any], numbers: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """score, and predicted_label of a classifier."""
    sums = tf.matmul(rows, numbers["factors"])
    squares = tf.matmul(tf.square(rows), tf.square(numbers["factors"]))
    pairs = tf.reduce_sum(tf.square(sums) - squares, axis=1) / 2
    scores = numbers["bias"] + tf.linalg.matvec(rows, numbers["linear"]) + pairs
    return _labelled(tf.sigmoid(scores), 0.5) if job["is_binary"] else {"score": scores}


def components(_job: Mapping[str, Any], numbers: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """projection, the largest component last."""
    return {"projection": tf.matmul(rows - numbers["mean"], numbers["components"])}


def centers(_job: Mapping[str, Any], numbers: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """closest_cluster, and distance_to_cluster."""
    # Near one another, squares of distances by products are what is left of large numbers.
    shift = tf.reduce_mean(numbers["centers"], axis=0)
    points = numbers["centers"] - shift
    lengths = tf.reduce_sum(tf.square(points), axis=1)
    squares = lengths - 2 * tf.matmul(rows - shift, points, transpose_b=True)
    closest = tf.argmin(squares, axis=1)
    away = rows - tf.gather(numbers["centers"], closest)
    return {"closest_cluster": closest, "distance_to_cluster": tf.norm(away, axis=1)}


def _labelled(scores: Any, threshold: float) -> dict[str, Any]:
    return {"score": scores, "predicted_label": tf.cast(scores >= threshold, tf.int64)}


# What answers, and the array and axis that say how many features a row has.
_Answer = Callable[[Mapping[str, Any], Mapping[str, Any], Any], dict[str, Any]]
_FAMILIES: Mapping[str, tuple[_Answer, tuple[str, int]]] = {
    "linear-learner": (linear, ("weights", 0)),
    "factorization-machines": (factors, ("factors", 0)),
    "pca": (components, ("components", 0)),
    "kmeans": (centers, ("centers", 1)),
}


def _said(name: str, spec: Any) -> str:
    lengths = " x ".join("N" if length is None else str(length) for length in spec.shape)
    return f"{name} ({lengths})"


def write(job: Mapping[str, Any]) -> str:
    """Write what a line says; the signature."""
    with np.load(job["numbers"]) as numbers:
        formula = Formula(job, dict(numbers))
    signature = formula.serve.get_concrete_function()
    tf.saved_model.save(formula, job["output"], {"serving_default": signature})
    outputs = ", ".join(_said(*each) for each in signature.structured_outputs.items())
    (data,) = signature.structured_input_signature[0]
    return f"{_said('data', data)} -> {outputs}"


if __name__ == "__main__":
    for line in sys.stdin:
        print(write(json.loads(line)))

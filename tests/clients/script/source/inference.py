"""Handlers of the user's model."""

import json
from pathlib import Path

import utils


def model_fn(model_dir):
    return json.loads(Path(model_dir, "model.json").read_text())


def input_fn(body, content_type):
    return json.loads(body)


def predict_fn(rows, model):
    return {"answer": model["sum"] + utils.total(rows), "greeting": model["greeting"]}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"

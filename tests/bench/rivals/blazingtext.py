"""BlazingText's rival: fastText, with the job's settings; it says its accuracy, too."""

import json
from pathlib import Path

import fasttext
from common import run
from sagelocal_train.machine import cpu_count


def train(folder, parameters):
    text = str(folder / "train.txt")
    model = fasttext.train_supervised(
        text,
        lr=0.05,
        dim=int(parameters["vector_dim"]),
        epoch=int(parameters["epochs"]),
        minCount=5,
        wordNgrams=2,
        bucket=int(parameters["buckets"]),
        thread=cpu_count(),
        verbose=0,
    )
    print(model.test(text))
    return model


def predict(model, lines):
    return [answer[0] for answer in model.predict(list(lines))[1]]


def decode(body):
    return json.loads(body)["instances"]


def load(path: Path):
    return fasttext.load_model(str(path))


run(train, predict, lambda model, path: model.save_model(str(path)), load, decode=decode)

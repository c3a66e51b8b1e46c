"""XGBoost's rival: the library with its own reader of text, its own evaluation, its own file."""

import xgboost
from common import run

OWN = {"num_round"}


def train(folder, parameters):
    matrix = xgboost.DMatrix(f"{folder}/train.csv?format=csv&label_column=0")
    rest = {name: value for name, value in parameters.items() if name not in OWN}
    rounds = int(parameters["num_round"])
    return xgboost.train(rest, matrix, rounds, evals=[(matrix, "train")])


def load(path):
    return xgboost.Booster(model_file=path)


run(
    train,
    lambda model, requests: model.inplace_predict(requests),
    lambda model, path: model.save_model(path),
    load,
)

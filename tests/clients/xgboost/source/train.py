"""A script for XGBoost as users have it: argparse, SM_ variables, model_fn beside the training."""

import argparse
import os
from pathlib import Path

import pandas as pd
import xgboost as xgb


def model_fn(model_dir):
    model = xgb.Booster()
    model.load_model(os.path.join(model_dir, "own-model.json"))
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int, default=5)
    parser.add_argument("--num_round", type=int, default=5)
    parser.add_argument("--model_dir", default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments = parser.parse_args()
    files = sorted(Path(arguments.train).glob("*.csv"))
    table = pd.concat([pd.read_csv(path, header=None) for path in files])
    data = xgb.DMatrix(table.iloc[:, 1:].to_numpy(), table.iloc[:, 0])
    parameters = {"max_depth": arguments.max_depth, "objective": "reg:squarederror", "nthread": 1}
    booster = xgb.train(parameters, data, arguments.num_round, evals=[(data, "train")])
    booster.save_model(os.path.join(arguments.model_dir, "own-model.json"))

"""A user's training script; its neighbours have names that the toolkits have, too."""

import argparse
import json
import os
from pathlib import Path

import greeting
import utils

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--name")
given = parser.parse_args()

rows = Path(os.environ["SM_CHANNEL_TRAINING"], "rows.csv").read_text().split()
model = {"sum": utils.total(rows), "epochs": given.epochs, "greeting": greeting.hello(given.name)}
Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(model))

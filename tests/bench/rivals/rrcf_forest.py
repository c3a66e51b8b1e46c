"""Random Cut Forest's other rival: rrcf, which is all Python. Its rows are few.

A row's score is its mean collusive displacement: the row goes into each tree and out again.
"""

import json

import numpy as np
import rrcf
from common import rows, run


def train(folder, parameters):
    random = np.random.default_rng(0)
    features = rows(folder)
    size, trees = int(parameters["num_samples_per_tree"]), int(parameters["num_trees"])
    chosen = random.choice(len(features), (trees, size), replace=False)
    return [rrcf.RCTree(features[each].astype(float), random_state=random) for each in chosen]


def scored(trees, requests):
    return [np.mean([score(tree, row) for tree in trees]) for row in requests[:20]]


def score(tree, row):
    tree.insert_point(row.astype(float), index="new")
    found = tree.codisp("new")
    tree.forget_point("new")
    return found


def save(trees, path):
    path.write_text(json.dumps([tree.to_dict() for tree in trees]))


def load(path):
    return [rrcf.RCTree.from_dict(each) for each in json.loads(path.read_text())]


run(train, scored, save, load)

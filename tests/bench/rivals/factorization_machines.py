"""Factorization Machines' rival: modern-fm, with Adam, batches and passes like the job's."""

import json

import numpy as np
from common import rows, run
from modern_fm import FMClassifier
from scipy.sparse import csr_matrix, load_npz


def sparse(folder, name="rows"):
    return load_npz(folder / f"{name}.npz")


def train(folder, parameters):
    model = FMClassifier(
        n_factors=int(parameters["num_factors"]),
        optimizer="adam",
        learning_rate=float(parameters["linear_lr"]),
        batch_size=int(parameters["mini_batch_size"]),
        max_iter=int(parameters["epochs"]),
        random_state=0,
    )
    return model.fit(sparse(folder), rows(folder, "labels").astype(int))


def decode(body):
    tensors = [each["data"]["features"] for each in json.loads(body)["instances"]]
    indptr = np.cumsum([0, *(len(each["keys"]) for each in tensors)])
    keys = np.concatenate([each["keys"] for each in tensors])
    values = np.concatenate([each["values"] for each in tensors]).astype(np.float32)
    return csr_matrix((values, keys, indptr), (len(tensors), tensors[0]["shape"][0]))


run(train, lambda model, requests: model.predict_proba(requests)[:, 1], read=sparse, decode=decode)

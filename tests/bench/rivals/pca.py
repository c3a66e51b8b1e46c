"""PCA's rival: scikit-learn's."""

from common import rows, run
from sklearn.decomposition import PCA


def train(folder, parameters):
    return PCA(int(parameters["num_components"])).fit(rows(folder))


run(train, lambda model, requests: model.transform(requests))

"""K-Means' rival: scikit-learn's."""

from common import rows, run
from sklearn.cluster import KMeans


def train(folder, parameters):
    return KMeans(int(parameters["k"]), random_state=0).fit(rows(folder))


run(train, lambda model, requests: model.transform(requests).min(axis=1))

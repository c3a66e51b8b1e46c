"""Random Cut Forest's rival: scikit-learn's IsolationForest; it scores the test rows, too."""

from common import rows, run
from sklearn.ensemble import IsolationForest


def train(folder, parameters):
    model = IsolationForest(
        n_estimators=int(parameters["num_trees"]),
        max_samples=int(parameters["num_samples_per_tree"]),
        random_state=0,
    ).fit(rows(folder))
    scores = scored(model, rows(folder, "test"))
    print("called anomalies:", (scores > scores.mean() + 3 * scores.std()).sum())
    return model


def scored(model, requests):
    return -model.score_samples(requests)


run(train, scored)

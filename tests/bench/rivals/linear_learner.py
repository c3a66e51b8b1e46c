"""Linear Learner's rival: scikit-learn's SGDClassifier, as many passes."""

from common import rows, run
from sklearn.linear_model import SGDClassifier


def train(folder, parameters):
    model = SGDClassifier(loss="log_loss", max_iter=int(parameters["epochs"]), tol=None)
    return model.set_params(random_state=0).fit(rows(folder), rows(folder, "labels"))


run(train, lambda model, requests: model.predict_proba(requests)[:, 1])

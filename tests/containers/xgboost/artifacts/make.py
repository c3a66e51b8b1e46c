"""Write models as one version of XGBoost saves them, and what that version predicts.

    uv run --no-project --python 3.11 --with xgboost==0.90 --with numpy==1.23.5 \
        --with 'scipy<1.12' --with 'setuptools<70' make.py 0.90

makes the folder 0.90; so were 1.3.3 and 1.7.6 made, and 2.1.4 with `--with xgboost-cpu==2.1.4`.
With `--with scikit-learn==1.2.2 --with joblib` it writes an XGBClassifier, too: so was 1.5.2 made.
"""

import importlib
import importlib.util
import json
import pathlib
import pickle
import sys
from typing import Any

import numpy as np
import xgboost as xgb

ROUNDS = 3
LABELS = {
    "reg:squarederror": lambda x: x[:, 0] * 2 + x[:, 1],
    "binary:logistic": lambda x: (x[:, 0] + x[:, 2] > 0) * 1.0,
    "multi:softprob": lambda x: np.digitize(x[:, 0], [-0.5, 0.5]) * 1.0,
    "count:poisson": lambda x: np.floor(np.abs(x[:, 0]) * 3),
}
MODELS: dict[str, dict[str, Any]] = {
    "regression": {"objective": "reg:squarederror"},
    "logistic": {"objective": "binary:logistic"},
    "classes": {"objective": "multi:softprob", "num_class": 3},
    "poisson": {"objective": "count:poisson"},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5, "seed": 1},
    "linear": {
        "objective": "reg:squarederror",
        "booster": "gblinear",
        "updater": "coord_descent",
        "feature_selector": "cyclic",
    },
}
PICKLED = ("regression", "classes")


def main(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    random = np.random.RandomState(3)
    x = random.normal(size=(60, 4)).astype(np.float32)
    x[random.uniform(size=x.shape) < 0.1] = np.nan
    predictions = {}
    for name, settings in MODELS.items():
        labels = LABELS[settings["objective"]](np.nan_to_num(x))
        params = {"max_depth": 3, "nthread": 1, **settings}
        booster = xgb.train(params, xgb.DMatrix(x, labels), ROUNDS)
        # DART of 0.90 drops trees in predictions, too, unless it is told how many to use.
        limit = {"ntree_limit": ROUNDS} if xgb.__version__ < "1" and name == "dart" else {}
        predictions[name] = np.asarray(booster.predict(xgb.DMatrix(x[:6]), **limit), float).tolist()
        booster.save_model(str(folder / f"{name}.model"))
        if name in PICKLED:
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(booster))
    if importlib.util.find_spec("sklearn"):
        classifier = xgb.XGBClassifier(n_estimators=ROUNDS, max_depth=3, n_jobs=1)
        classifier.fit(x, LABELS["multi:softprob"](np.nan_to_num(x)).astype(int))
        predictions["classifier"] = classifier.predict_proba(x[:6]).astype(float).tolist()
        (folder / "classifier.pkl").write_bytes(pickle.dumps(classifier))
        importlib.import_module("joblib").dump(classifier, folder / "classifier.joblib")
    rows = [[None if np.isnan(cell) else float(cell) for cell in row] for row in x[:6]]
    expected = {"version": xgb.__version__, "rows": rows, "predictions": predictions}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

"""XGBoost by the unmodified SageMaker SDK: the algorithm, scripts, models from elsewhere."""

from __future__ import annotations

import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent / "xgboost"
IMAGE = "sagelocal/xgboost:1"
SETTINGS = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.4, "nthread": 1}
ROUNDS = 6

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    """A data set in a folder as the notebook wants it, and the rows in it."""

    folder: Path
    train: Floats
    labels: Floats
    rows: Floats

    def bare(self, settings: dict[str, Any], rounds: int) -> Any:
        """What the bare library predicts for the rows."""
        data = xgboost.DMatrix(self.train, self.labels)
        booster = xgboost.train(settings, data, rounds)
        return booster.predict(xgboost.DMatrix(self.rows)).tolist()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    x, y = load_breast_cancer(return_X_y=True)
    x, y = x[:, :8].astype(np.float32), y.astype(np.float32)
    table = np.column_stack([y, x])
    for name, part in (
        ("train", table[:400]),
        ("validation", table[400:]),
        ("part-0", table[:150]),
        ("part-1", table[150:400]),
    ):
        np.savetxt(folder / f"{name}.csv", part, delimiter=",", fmt="%.9g")
    rows = x[400:405]
    np.savetxt(folder / "rows.csv", rows, delimiter=",", fmt="%.9g")
    cells = [" ".join(f"{i}:{v:.9g}" for i, v in enumerate(row)) for row in rows.tolist()]
    (folder / "rows.libsvm").write_text("".join(f"0 {line}\n" for line in cells))
    classifier = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)
    joblib.dump(classifier.fit(x[:400], np.digitize(x[:400, 0], [12, 15])), folder / "model.joblib")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "model.joblib", "model.joblib")
    return Data(folder, x[:400], y[:400], rows)


@pytest.fixture(scope="module")
def seen(place: Any, data: Data) -> Any:
    """What the notebook saw on a plane of each runtime."""
    steps = ["algorithm", "classic", "trained_elsewhere", "script", "two_hosts", "mistake"]
    return place.notebook(HERE / "notebook.py", data.folder, *steps)[0]


def test_the_built_in_algorithm_predicts_as_the_bare_library(
    seen: dict[str, Any], data: Data
) -> None:
    expected = data.bare(SETTINGS, ROUNDS)
    found = seen["algorithm"]
    assert found["csv"] == found["json"] == found["libsvm"] == expected
    assert found["one"] == expected[:1]


def test_the_version_that_is_asked_for_decides_between_commas_and_lines(
    seen: dict[str, Any], data: Data
) -> None:
    expected = data.bare(SETTINGS, ROUNDS)
    assert seen["classic"] == {"latest": expected, "1.2-1": expected, "1.2-2": expected}


def test_a_notebook_unpickles_the_model_of_an_old_version(seen: dict[str, Any], data: Data) -> None:
    with tarfile.open(data.folder / "classic.tar.gz") as archive:
        member = archive.extractfile("xgboost-model")
        assert member is not None
        booster = pickle.load(member)
    assert booster.predict(xgboost.DMatrix(data.rows)).tolist() == seen["classic"]["latest"]


def test_the_metrics_of_the_log_have_the_names_that_tuning_uses(seen: dict[str, Any]) -> None:
    found = seen["algorithm"]["metrics"]
    assert set(found) == {*("train:auc", "train:logloss", "validation:auc", "validation:logloss")}
    assert found["validation:auc"] > 0.9 > 0.5 > found["validation:logloss"] > 0


def test_a_model_dumped_in_a_notebook_answers_without_a_script(
    seen: dict[str, Any], data: Data
) -> None:
    model = joblib.load(data.folder / "model.joblib")
    assert seen["trained_elsewhere"] == model.predict_proba(data.rows).tolist()


def test_the_framework_estimators_script_trains_and_serves(
    seen: dict[str, Any], data: Data
) -> None:
    settings = {"max_depth": 2, "objective": "reg:squarederror", "nthread": 1}
    assert seen["script"] == pytest.approx(data.bare(settings, 3), rel=1e-5)


def test_two_hosts_train_one_model_of_all_rows(seen: dict[str, Any]) -> None:
    found = seen["two_hosts"]
    assert found["status"] == "Completed"
    assert found["metrics"]["train:auc"] > 0.97


def test_a_mistake_is_said_in_the_algorithms_words(seen: dict[str, Any]) -> None:
    expected = "ClientError: Hyperparameter eta: value 7.0 not in range [0, 1], exit code: 1"
    assert seen["mistake"] == expected


@pytest.mark.docker
def test_it_runs_in_the_sdks_own_local_mode(local_mode: Any, tmp_path: Path, data: Data) -> None:
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    for name, target in (("train.csv", folder), ("rows.csv", folder.parent)):
        (target / name).write_bytes((data.folder / name).read_bytes())
    answer = local_mode(HERE / "local_mode.py", IMAGE, folder.parent, tmp_path)
    assert answer == str([repr(value) for value in data.bare(SETTINGS, ROUNDS)])

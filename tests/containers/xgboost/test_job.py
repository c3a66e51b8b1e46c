"""Training jobs of the built-in algorithm: the /opt/ml tree in, log lines and model out."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sagelocal_formats.libsvm import LibsvmRows, write_libsvm
from sagelocal_formats.parquet import write_parquet
from sagelocal_formats.record_protobuf import encode_rows, encode_sparse
from sagelocal_formats.rows import SparseRows
from sagelocal_train import AlgorithmError, Environment, process
from sagelocal_xgboost import algorithm, artifact, training
from sagelocal_xgboost.callbacks import Stop
from sagelocal_xgboost.declarations import UserError
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

Table = NDArray[np.float64]
Files = Mapping[str, str | bytes]
RunJob = Callable[..., "Ended"]

ROUND = re.compile(r"^\[([0-9]+)\]\t", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """What a job left."""

    base: Path
    printed: str

    @property
    def rounds(self) -> list[str]:
        """The lines of the rounds."""
        return [line for line in self.printed.splitlines() if ROUND.match(line)]

    @property
    def model(self) -> xgboost.Booster:
        (found,) = artifact.load_all(self.base / "model")
        return found


@pytest.fixture
def run_job(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> RunJob:
    """`run_job({"train": {"a.csv": ...}}, {"num_round": 3}, "text/csv")`, in this process."""

    def run(
        channels: Mapping[str, Files],
        hyperparameters: Mapping[str, object],
        content_type: str | None = "text/csv",
        checkpoints: bool = False,
        input_mode: str = "File",
    ) -> Ended:
        for channel, files in channels.items():
            for name, content in files.items():
                path = tmp_path / "input" / "data" / channel / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            (tmp_path / "input" / "data" / channel).mkdir(parents=True, exist_ok=True)
        config = tmp_path / "input" / "config"
        config.mkdir(exist_ok=True)
        entry = {"TrainingInputMode": input_mode} | (
            {"ContentType": content_type} if content_type else {}
        )
        (config / "inputdataconfig.json").write_text(json.dumps(dict.fromkeys(channels, entry)))
        texts = {name: str(value) for name, value in hyperparameters.items()}
        (config / "hyperparameters.json").write_text(json.dumps({"nthread": "1"} | texts))
        if checkpoints:
            local = {"LocalPath": str(tmp_path / "checkpoints")}
            (config / "checkpointconfig.json").write_text(json.dumps(local))
        capfd.readouterr()
        training.main(Environment.read({"SAGEMAKER_BASE_DIR": str(tmp_path)}))
        return Ended(tmp_path, capfd.readouterr().out)

    return run


def _csv(*columns: Any) -> str:
    stream = io.StringIO()
    np.savetxt(stream, np.column_stack(columns), delimiter=",", fmt="%.9g")
    return stream.getvalue()


@pytest.fixture(scope="module")
def cancer() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Thirty features of 569 tumours, and whether they are benign."""
    x, y = load_breast_cancer(return_X_y=True)
    return x.astype(np.float32), y.astype(np.float32)


# --- the same model as the library's ---------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "given"),
    [
        (load_breast_cancer, {"objective": "binary:logistic", "eval_metric": "auc,logloss"}),
        (load_diabetes, {"eta": 0.1, "subsample": 0.7, "colsample_bytree": 0.8, "seed": 7}),
        (load_iris, {"objective": "multi:softprob", "num_class": 3, "eval_metric": "mlogloss"}),
    ],
)
def test_the_model_and_the_log_are_those_of_the_bare_library(
    run_job: RunJob, load: Any, given: dict[str, Any]
) -> None:
    x, y = load(return_X_y=True)
    x, y = x.astype(np.float32), y.astype(np.float32)
    part = np.arange(len(y)) % 4 > 0
    given = given | {"max_depth": 4}

    ended = run_job(
        {
            "train": {"a.csv": _csv(y[part], x[part])},
            "validation": {"b.csv": _csv(y[~part], x[~part])},
        },
        {"num_round": 12, **given},
    )

    history: dict[str, Any] = {}
    train, validation = xgboost.DMatrix(x[part], y[part]), xgboost.DMatrix(x[~part], y[~part])
    settings = {**given, "nthread": 1}
    if "eval_metric" in given:
        settings["eval_metric"] = given["eval_metric"].split(",")
    bare = xgboost.train(
        settings,
        train,
        12,
        evals=[(train, "train"), (validation, "validation")],
        evals_result=history,
        verbose_eval=False,
    )
    assert ended.model.get_dump(with_stats=True) == bare.get_dump(with_stats=True)
    np.testing.assert_array_equal(ended.model.predict(validation), bare.predict(validation))
    name = next(iter(history["validation"]))
    expected = f"\tvalidation-{name}:{history['validation'][name][-1]:.5f}"
    assert expected in ended.rounds[-1]
    assert len(ended.rounds) == 12


def test_an_old_version_pickles_its_model(
    run_job: RunJob, cancer: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = cancer
    name = "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest"
    monkeypatch.setenv("SAGELOCAL_IMAGE", name)
    given = {"objective": "binary:logistic", "max_depth": 2}
    ended = run_job({"train": {"a.csv": _csv(y, x)}}, {"num_round": 3, **given})
    with (ended.base / "model" / "xgboost-model").open("rb") as stream:
        booster = pickle.load(stream)
    bare = xgboost.train({**given, "nthread": 1}, xgboost.DMatrix(x, y), 3)
    assert type(booster) is xgboost.Booster
    assert booster.get_dump(with_stats=True) == bare.get_dump(with_stats=True)
    assert ended.model.get_dump(with_stats=True) == bare.get_dump(with_stats=True)


def test_the_lines_of_the_rounds_are_the_originals(run_job: RunJob) -> None:
    rows = "0,1\n0,2\n1,3\n1,4\n"
    ended = run_job(
        {"train": {"a": rows}, "validation": {"b": rows}},
        {
            "num_round": 2,
            "objective": "binary:logistic",
            "eval_metric": "error,accuracy",
            "base_score": 0.5,
            "min_child_weight": 0,
            "eta": 1,
            "lambda": 0,
        },
    )
    assert ended.rounds == [
        "[0]\ttrain-error:0.00000\ttrain-accuracy:1.00000"
        "\tvalidation-error:0.00000\tvalidation-accuracy:1.00000",
        "[1]\ttrain-error:0.00000\ttrain-accuracy:1.00000"
        "\tvalidation-error:0.00000\tvalidation-accuracy:1.00000",
    ]


OBJECTIVES = {
    "binary:logistic": "share",
    "binary:logitraw": "share",
    "binary:hinge": "share",
    "reg:logistic": "share",
    "count:poisson": "positive",
    "reg:gamma": "positive",
    "reg:tweedie": "positive",
    "reg:squaredlogerror": "positive",
    "survival:aft": "positive",
    "survival:cox": "positive",
    "multi:softmax": "classes",
    "multi:softprob": "classes",
    "reg:linear": "positive",
    "reg:squarederror": "positive",
    "reg:pseudohubererror": "positive",
    "reg:absoluteerror": "positive",
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains(run_job: RunJob, objective: str) -> None:
    x = np.random.default_rng(5).normal(size=(60, 3))
    labels = {
        "share": (x[:, 0] > 0) * 1.0,
        "positive": np.abs(x[:, 0]) + 0.1,
        "classes": np.digitize(x[:, 0], [-0.4, 0.4]),
    }[OBJECTIVES[objective]]
    given = {"num_class": 3} if objective.startswith("multi:") else {}
    ended = run_job(
        {"train": {"a.csv": _csv(labels, x)}},
        {"num_round": 3, "objective": objective, **given},
    )
    assert ended.model.num_boosted_rounds() == 3
    assert len(ended.rounds) == 3


@pytest.mark.parametrize("objective", ["rank:pairwise", "rank:ndcg", "rank:map"])
def test_ranking_takes_its_queries_from_libsvm(run_job: RunJob, objective: str) -> None:
    lines = [f"{row % 2} qid:{row // 6} 1:{row % 5} 2:{row % 3}\n" for row in range(30)]
    ended = run_job(
        {"train": {"a.libsvm": "".join(lines)}},
        {"num_round": 2, "objective": objective, "eval_metric": "ndcg@3"},
        "text/libsvm",
    )
    assert re.fullmatch(r"\[1\]\ttrain-ndcg@3:0\.\d{5}", ended.rounds[-1])


# XGBoost warns of what it will give up, here and there.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "given",
    [
        {"booster": "dart", "rate_drop": 0.3, "one_drop": 1},
        {"booster": "gblinear", "updater": "coord_descent", "lambda_bias": 0.1},
        {"tree_method": "exact", "monotone_constraints": "(1, 0, -1)"},
        {"tree_method": "hist", "interaction_constraints": "[[1, 2]]", "max_bin": 16},
        {"tree_method": "approx", "grow_policy": "lossguide", "max_leaves": 5},
        {"num_parallel_tree": 3, "subsample": 0.5, "colsample_bynode": 0.7},
        {"predictor": "cpu_predictor", "sketch_eps": 0.1, "deterministic_histogram": "true"},
        {"updater": "grow_colmaker,prune"},
    ],
)
def test_every_kind_of_booster_trains(run_job: RunJob, given: dict[str, Any]) -> None:
    x = np.random.default_rng(5).normal(size=(60, 3))
    ended = run_job({"train": {"a.csv": _csv(x[:, 0], x)}}, {"num_round": 3, **given})
    assert ended.model.num_features() == 3


# --- formats and channels --------------------------------------------------------------------


def _with_holes(x: Table) -> Table:
    holed: Table = np.where(np.random.default_rng(1).uniform(size=x.shape) < 0.2, np.nan, x)
    return holed


def _sparse(x: Table) -> SparseRows:
    rows, keys = np.nonzero(~np.isnan(x))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(x)))])
    return SparseRows(indptr, keys, x[rows, keys].astype(np.float32), x.shape[1])


def _bytes_of(x: Table, y: Table, kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "csv":
        return _csv(y, x).replace("nan", "").encode()
    if kind == "libsvm":
        write_libsvm(stream, LibsvmRows(_sparse(x), y.astype(np.float32)))
    elif kind == "parquet":
        write_parquet(stream, np.column_stack([y, x]))
    elif kind == "dense":
        labels = y.astype(np.float32)
        return encode_rows({"values": x.astype(np.float32)}, {"values": labels})
    else:
        return encode_sparse(_sparse(x), y.astype(np.float32))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("csv", "text/csv"),
        ("csv", "csv"),
        ("csv", "text/csv; label_size=1; charset=utf8"),
        ("libsvm", None),
        ("libsvm", "text/x-libsvm"),
        ("libsvm", "libsvm"),
        ("parquet", "application/x-parquet"),
        ("dense", "application/x-recordio-protobuf"),
        ("sparse", "recordio-protobuf"),
    ],
)
def test_every_format_gives_the_same_model(
    run_job: RunJob, kind: str, content_type: str | None
) -> None:
    x = _with_holes(np.random.default_rng(3).normal(size=(90, 4)).astype(np.float32))
    y = np.nan_to_num(x[:, 0]).round(3)
    files = {
        "part-0": _bytes_of(x[:50], y[:50], kind),
        "a/b/part-1": _bytes_of(x[50:], y[50:], kind),
    }
    ended = run_job({"train": {**files, "_SUCCESS": ""}}, {"num_round": 4}, content_type)
    bare = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 4)
    found = ended.model.predict(xgboost.DMatrix(x))
    np.testing.assert_allclose(found, bare.predict(xgboost.DMatrix(x)), rtol=1e-4, atol=1e-5)


def test_pipe_mode_reads_the_first_epoch(run_job: RunJob, tmp_path: Path) -> None:
    folder = tmp_path / "input" / "data"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "train_0")
    rows = _csv(np.arange(40) % 7, np.arange(40), np.arange(40) % 3)
    feeder = threading.Thread(target=(folder / "train_0").write_text, args=(rows,))
    feeder.start()
    ended = run_job({"train": {}}, {"num_round": 2}, input_mode="Pipe")
    feeder.join()
    assert "train-rmse" in ended.rounds[1]
    assert ended.model.num_features() == 2


@pytest.mark.parametrize("delimiter", [";", "\t", " ", "|"])
def test_other_delimiters_of_csv_are_seen(run_job: RunJob, delimiter: str) -> None:
    rows = "1,2,3\n4,5,6\n".replace(",", delimiter)
    assert run_job({"train": {"a.csv": rows}}, {"num_round": 1}).model.num_features() == 2


@pytest.mark.parametrize("validation_has_weights", [True, False])
def test_weights_are_the_second_column_of_csv(
    run_job: RunJob, validation_has_weights: bool
) -> None:
    random = np.random.default_rng(4)
    x, weights = random.normal(size=(50, 3)).astype(np.float32), random.integers(1, 9, 50)
    y = x[:, 0].round(4)
    measured = (y, weights, x) if validation_has_weights else (y, x)
    ended = run_job(
        {"train": {"a.csv": _csv(y, weights, x)}, "validation": {"b.csv": _csv(*measured)}},
        {"num_round": 3, "csv_weights": 1},
    )
    data = xgboost.DMatrix(x, y, weight=weights)
    assert ended.model.get_dump() == xgboost.train({"nthread": 1}, data, 3).get_dump()


def test_weights_of_libsvm_count(run_job: RunJob) -> None:
    ended = run_job({"train": {"a": "1:3 0:1\n0:1 0:2\n"}}, {"num_round": 1, "eta": 1}, None)
    assert ended.model.num_boosted_rounds() == 1
    assert "train-rmse" in ended.rounds[0]


def test_sparse_validation_data_may_have_more_or_fewer_columns(run_job: RunJob) -> None:
    train = "".join(f"{row % 3} 0:{row} 2:{row % 5}\n" for row in range(20))
    for validation in ("1 0:1 7:2\n", "1 0:1\n"):
        ended = run_job(
            {"train": {"a": train}, "validation": {"b": validation}}, {"num_round": 1}, None
        )
        assert "validation-rmse" in ended.rounds[0]


# --- early stopping, cross validation, checkpoints, stopping ----------------------------------


def test_early_stopping_keeps_the_best_round_alone(
    run_job: RunJob, cancer: tuple[Any, Any]
) -> None:
    x, y = cancer
    ended = run_job(
        {"train": {"a.csv": _csv(y[:80], x[:80])}, "validation": {"b.csv": _csv(y[80:], x[80:])}},
        {
            "num_round": 200,
            "objective": "binary:logistic",
            "eval_metric": "logloss,auc",
            "early_stopping_rounds": 4,
        },
    )
    scores = [float(line.rpartition("validation-auc:")[2]) for line in ended.rounds]
    best = int(np.argmax(scores))
    assert best + 5 == len(scores) < 200
    assert ended.model.num_boosted_rounds() == best + 1
    assert ended.model.attr("best_iteration") == str(best)


def test_a_metric_of_this_image_stops_early_too(run_job: RunJob, cancer: tuple[Any, Any]) -> None:
    x, y = cancer
    ended = run_job(
        {"train": {"a.csv": _csv(y[:80], x[:80])}, "validation": {"b.csv": _csv(y[80:], x[80:])}},
        {
            "num_round": 100,
            "objective": "binary:logistic",
            "_tuning_objective_metric": "validation:f1",
            "early_stopping_rounds": 3,
        },
    )
    scores = [float(line.rpartition("validation-f1:")[2]) for line in ended.rounds]
    assert ended.model.num_boosted_rounds() == int(np.argmax(scores)) + 1


@pytest.mark.slow
def test_cross_validation_leaves_a_model_of_each_fold_and_what_they_say(
    run_job: RunJob, cancer: tuple[Any, Any]
) -> None:
    x, y = cancer
    ended = run_job(
        {
            "train": {"a.csv": _csv(y[:400], x[:400])},
            "validation": {"b.csv": _csv(y[400:], x[400:])},
        },
        {
            "num_round": 5,
            "objective": "binary:logistic",
            "eval_metric": "auc",
            "_kfold": 3,
            "_num_cv_round": 2,
        },
    )
    assert sorted(path.name for path in (ended.base / "model").iterdir()) == [
        f"xgboost-model-{fold}" for fold in range(6)
    ]
    lines = ended.rounds
    assert len(lines) == 6 * 5 + 2 + 1
    means = [line for line in lines if line.startswith("[5]\t")]
    values = [float(line.rpartition("validation-auc:")[2]) for line in means]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2, abs=1e-4)

    table = np.loadtxt(ended.base / "output" / "data" / "predictions.csv", delimiter=",")
    np.testing.assert_array_equal(table[:, 0], y)
    assert ((table[:, 1] > 0.5) == y).mean() > 0.9
    assert (table[:, 2] == y).mean() > 0.9


def test_cross_validation_of_numbers_predicts_each_row_out_of_fold(run_job: RunJob) -> None:
    x, y = load_diabetes(return_X_y=True)
    ended = run_job({"train": {"a.csv": _csv(y, x)}}, {"num_round": 10, "eta": 0.2, "_kfold": 2})
    table = np.loadtxt(ended.base / "output" / "data" / "predictions.csv", delimiter=",")
    assert table.shape == (len(y), 2)
    correlation: Any = np.corrcoef(table.T)
    assert 0.3 < correlation[0, 1] < 0.8
    assert len(artifact.load_all(ended.base / "model")) == 2


def test_checkpoints_are_kept_and_gone_on_from(run_job: RunJob, cancer: tuple[Any, Any]) -> None:
    x, y = cancer
    channels = {"train": {"a.csv": _csv(y, x)}}
    given = {"objective": "binary:logistic", "max_depth": 3}
    whole = run_job(channels, {"num_round": 8, **given})
    (whole.base / "model" / "xgboost-model").unlink()

    first = run_job(channels, {"num_round": 5, **given}, checkpoints=True)
    folder = first.base / "checkpoints"
    assert (folder / "xgboost-checkpoint.4").is_file()
    assert len(list(folder.iterdir())) <= 5
    (folder / "xgboost-checkpoint.99").write_bytes(b"cut off")
    (folder / "xgboost-checkpoint.7.sagemaker-uploading").write_bytes(b"")

    second = run_job(channels, {"num_round": 8, **given}, checkpoints=True)
    assert [line[:4] for line in second.rounds] == ["[5]\t", "[6]\t", "[7]\t"]
    assert second.rounds == whole.rounds[5:]
    data = xgboost.DMatrix(x)
    np.testing.assert_allclose(
        second.model.predict(data), whole.model.predict(data), rtol=1e-5, atol=1e-6
    )


def test_a_job_whose_checkpoint_is_complete_saves_it(run_job: RunJob) -> None:
    channels = {"train": {"a.csv": "1,2\n2,3\n"}}
    run_job(channels, {"num_round": 3}, checkpoints=True)
    again = run_job(channels, {"num_round": 3}, checkpoints=True)
    assert again.rounds == []
    assert again.model.num_boosted_rounds() == 3


class _StopAfter(Stop):
    """Is told to stop in the third round, as by the platform."""

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if epoch == 2:
            signal.raise_signal(signal.SIGTERM)
        return super().after_iteration(model, epoch, evals_log)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algorithm, "Stop", _StopAfter)


@pytest.mark.usefixtures("stopped")
def test_a_stopped_job_saves_what_it_has_where_that_is_asked_for(run_job: RunJob) -> None:
    ended = run_job(
        {"train": {"a.csv": "1,2\n2,3\n"}},
        {"num_round": 1000, "save_model_on_termination": "true"},
    )
    assert ended.model.num_boosted_rounds() == 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("stopped")
def test_a_stopped_job_ends_as_stopped_and_leaves_a_checkpoint(
    run_job: RunJob, tmp_path: Path
) -> None:
    with pytest.raises(process.Stopped) as stopping:
        run_job({"train": {"a.csv": "1,2\n2,3\n"}}, {"num_round": 1000}, checkpoints=True)
    assert stopping.value.code == 143
    assert (tmp_path / "checkpoints" / "xgboost-checkpoint.2").is_file()
    assert not (tmp_path / "model" / "xgboost-model").exists()


# --- what the user can mend ------------------------------------------------------------------

GOOD = "0,1\n1,2\n"


@pytest.mark.parametrize(
    ("channels", "given", "content_type", "said"),
    [
        ({"train": {}}, {}, "text/csv", "No data in training channel path .*/train. Check the"),
        ({"train": {"a": ""}}, {}, "text/csv", "No data in training channel path"),
        (
            {"train": {"a": GOOD}, "validation": {}},
            {},
            "text/csv",
            "No data in validation channel path",
        ),
        ({"validation": {"a": GOOD}}, {}, "text/csv", "Missing required channel: train"),
        (
            {"train": {"a": GOOD}, "test": {"a": GOOD}},
            {},
            "text/csv",
            "Extraneous channel found: test",
        ),
        ({"train": {"a": GOOD}}, {"_kfold": 1}, "text/csv", r"_kfold: value 1 not in range \[2,"),
        ({"train": {"a": GOOD}}, {}, "image/png", "image/png is not an accepted ContentType: text"),
        ({"train": {"a": GOOD}}, {}, "text/csv;label_size=0", "label_size must be equal to 1"),
        ({"train": {".a": GOOD}}, {}, "text/csv", "Hidden file found in the data path: train/.a"),
        ({"train": {"1/2/3/4/a": GOOD}}, {}, "text/csv", "Folder depth exceed the limit: 3"),
        (
            {"train": {"a.csv": "label,age,sex\n1,2,3\n"}},
            {},
            "text/csv",
            r"First line 'label,age,sex\.\.\.' of file 'a.csv' is not 'CSV' format.* header",
        ),
        (
            {"train": {"a.csv": GOOD + "1,x\n"}},
            {},
            "text/csv",
            "Failed to load csv data with exception: train/a.csv, line 3, column 2: 'x' is not",
        ),
        (
            {"train": {"a.csv": "1,2,3\n1,2\n"}},
            {},
            "text/csv",
            "train/a.csv, line 2: 2 columns, the lines before it have 3",
        ),
        (
            {"train": {"a": "1,2,3\n", "b": "1,2\n"}},
            {},
            "text/csv",
            "train/b has 1 features, train/a has 2",
        ),
        (
            {"train": {"a": "1,2,3\n"}, "validation": {"b": "1,2\n"}},
            {},
            "text/csv",
            "feature_names mismatch: validation/b has 1 features, train/a has 2",
        ),
        ({"train": {"a": "1\n2\n"}}, {}, "text/csv", "needs the label first"),
        ({"train": {"a": "1,2\n,3\n"}}, {}, "text/csv", "train/a, row 2: the label is nan"),
        ({"train": {"a": "1,-1,2\n"}}, {"csv_weights": 1}, "text/csv", "the weight is -1"),
        (
            {"train": {"a.csv": GOOD}},
            {},
            None,
            "First line '0,1...' of file 'a.csv' is not 'LIBSVM' format.*ContentType .*text/csv",
        ),
        ({"train": {"a": "1 0:1\n2 0:x\n"}}, {}, None, "Failed to load libsvm data .*line 2"),
        ({"train": {"a": b"PARQUET"}}, {}, "application/x-parquet", "Failed to load parquet data"),
        (
            {"train": {"a": b"\x0a\x23\xd7\xceabc"}},
            {},
            "application/x-recordio-protobuf",
            "Failed to load recordio-protobuf data",
        ),
        (
            {"train": {"a": "0,1\n1,2\n", "b": "0,1\n7,2\n"}},
            {"objective": "binary:logistic"},
            "text/csv",
            r"label must be in \[0,1\] for logistic regression: train/b, row 2 has the label 7. W",
        ),
        (
            {"train": {"a": "0,1\n3,2\n"}},
            {"objective": "multi:softmax", "num_class": 3},
            "text/csv",
            r"label must be in \[0, num_class\): train/a, row 2 has the label 3 and num_class is 3",
        ),
        (
            {"train": {"a": "-1,1\n3,2\n"}},
            {"objective": "count:poisson"},
            "text/csv",
            "PoissonRegression: label must be nonnegative: train/a, row 1",
        ),
        (
            {"train": {"a": GOOD}},
            {"objective": "binary:logistic", "base_score": 3},
            "text/csv",
            r"base_score must be in \(0,1\)",
        ),
        ({"train": {"a": GOOD}}, {"max_bin": 1, "tree_method": "hist"}, "text/csv", "max_bin shou"),
        ({"train": {"a": GOOD}}, {"updater": "grow_skmaker"}, "text/csv", "Unknown tree updater"),
        (
            {"train": {"a": "0,1\n1,2\n2,3\n"}},
            {"objective": "multi:softmax", "num_class": 3, "eval_metric": "f1_binary"},
            "text/csv",
            "Target is multiclass but average='binary'",
        ),
        ({"train": {"a": GOOD}}, {"_kfold": 5}, "text/csv", "_kfold=5 needs at least 5 rows"),
    ],
)
def test_what_the_user_can_mend_is_said_with_the_place(
    run_job: RunJob,
    channels: Mapping[str, Files],
    given: dict[str, Any],
    content_type: str | None,
    said: str,
) -> None:
    with pytest.raises(UserError, match=said):
        run_job(channels, {"num_round": 2, **given}, content_type)


def test_what_the_library_refuses_for_no_known_reason_is_the_algorithms(
    run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise xgboost.core.XGBoostError(
            "[09:00:00] /workspace/src/x.cc:12: something else\nStack trace:\n  [bt] 0x1"
        )

    monkeypatch.setattr(xgboost, "train", fail)
    with pytest.raises(AlgorithmError) as raised:
        run_job({"train": {"a": GOOD}}, {"num_round": 2})
    assert str(raised.value) == "XGB train call failed with exception:\n something else"


def test_a_script_or_a_mistake_does_not_wait_for_the_librarys_import(family: Path) -> None:
    code = "import sys, sagelocal_xgboost.training; sys.exit('xgboost' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(family)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_the_container_ends_with_1_and_says_why(job: Any) -> None:
    ended = job.channel("train", {"a.csv": "0,1\n1,2\n"}).run(num_round="many")
    assert ended.exit_code == 1
    assert ended.failure.startswith("ClientError: Hyperparameter num_round: could not parse value")


def test_the_container_trains_and_logs_as_the_original(job: Any) -> None:
    ended = job.channel("train", {"a.csv": "0,1\n1,2\n"}).run(num_round=2)
    assert ended.exit_code == 0, ended.log
    stamp = r"\[\d{4}-\d\d-\d\d:\d\d:\d\d:\d\d:INFO\]"
    assert re.search(rf"^{stamp} Running XGBoost Sagemaker in algorithm mode$", ended.log, re.M)
    assert re.search(rf"^{stamp} Train matrix has 2 rows and 1 columns$", ended.log, re.M)
    assert re.search(r"^\[1\]\ttrain-rmse:\d\.\d{5}$", ended.log, re.M)
    assert (ended.base / "model" / "xgboost-model").is_file()

"""Whole jobs: log, metrics, artifact and failures; and how good the models are."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sagelocal_factorization_machines import fit, gradients, model
from sagelocal_factorization_machines.adam import Adam
from sagelocal_factorization_machines.compiled import Kernel
from sagelocal_factorization_machines.gradients import NumpyBatches
from sagelocal_factorization_machines.hyperparameters import TABLE, settings_of
from sagelocal_factorization_machines.model import FactorModel
from sagelocal_factorization_machines.tables import Dense, Entries, Sparse
from sagelocal_factorization_machines.training import FAMILY
from sagelocal_first_party import ArtifactError, Dataset, Group
from sagelocal_first_party.rows import FilledRows
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.record_protobuf import SparseRows, encode_rows
from sagelocal_train import Resources
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from tests.containers.conftest import Job
    from tests.containers.factorization_machines.conftest import Ratings

PROTOBUF = "application/x-recordio-protobuf"
GOOD = {
    "feature_dim": 110,
    "num_factors": 4,
    "mini_batch_size": 100,
    "epochs": 40,
    "bias_lr": 0.02,
    "linear_lr": 0.02,
    "factors_lr": 0.02,
    "factors_init_sigma": 0.1,
    "factors_wd": 0.0005,
}
SPLIT = 5000


def trained(job: Job, ratings: Ratings, labels: Any, kind: str) -> tuple[FactorModel, str]:
    """A model of the first ratings, measured on the others; and the job's log."""
    train, test = ratings.part(0, SPLIT), ratings.part(SPLIT, 6000)
    job.channel("train", {"a.pbr": train.records(labels[:SPLIT])}, PROTOBUF)
    job.channel("test", {"a.pbr": test.records(labels[SPLIT:])}, PROTOBUF)
    ended = job.run(**GOOD, predictor_type=kind)
    assert ended.exit_code == 0, ended.log
    return model.load(ended.model_dir), ended.log


def measured(log: str, family: Path) -> dict[str, float]:
    """The last value of every metric of image.toml that the log has."""
    metrics = tomllib.loads((family / "image.toml").read_text())["metrics"]
    found = {name: re.findall(pattern, log) for name, pattern in metrics.items()}
    return {name: float(values[-1]) for name, values in found.items() if values}


def test_a_regressor_is_near_the_noise_where_a_linear_model_is_not(
    job: Job, ratings: Ratings, family: Path
) -> None:
    found, log = trained(job, ratings, ratings.scores, "regressor")

    test = ratings.part(SPLIT, 6000)
    linear = Ridge(1e-3).fit(ratings.part(0, SPLIT).dense, ratings.scores[:SPLIT])
    linear_rmse = np.sqrt(np.square(linear.predict(test.dense) - test.scores).mean())
    rmse = float(np.sqrt(np.square(found.scores(test.dense) - test.scores).mean()))
    assert linear_rmse > 1.2
    assert rmse < 0.25
    figures = measured(log, family)
    assert figures["test:rmse"] == pytest.approx(rmse, rel=1e-3)
    assert figures["test:mse"] == pytest.approx(rmse**2, rel=1e-3)
    assert figures["train:rmse"] < 0.25
    assert figures["train:progress"] == 100


def test_a_classifier_ranks_where_a_linear_model_cannot(
    job: Job, ratings: Ratings, family: Path
) -> None:
    labels = (ratings.scores > np.median(ratings.scores)).astype(np.float64)
    found, log = trained(job, ratings, labels, "binary_classifier")

    test = ratings.part(SPLIT, 6000)
    truth = labels[SPLIT:]
    linear = LogisticRegression(max_iter=500).fit(ratings.part(0, SPLIT).dense, labels[:SPLIT])
    scores = found.scores(test.dense)
    theirs = roc_auc_score(truth, linear.predict_proba(test.dense)[:, 1])
    assert roc_auc_score(truth, scores) > max(0.95, theirs + 0.1)
    figures = measured(log, family)
    accuracy = ((scores >= 0.5) == (truth > 0)).mean()
    assert figures["test:binary_classification_accuracy"] == pytest.approx(accuracy)
    assert figures["test:binary_classification_cross_entropy"] < 0.3
    assert figures["test:binary_f_beta"] > 0.9
    assert re.search(r"epoch=39, train binary_f_1\.000 <score>=0\.9", log)


def test_the_log_is_the_originals(job: Job) -> None:
    rows = encode_rows({"values": np.eye(6, dtype=np.float32)}, {"values": np.arange(6.0)})
    ended = job.channel("train", {"a": rows}, PROTOBUF).run(
        feature_dim=6, num_factors=2, predictor_type="regressor", epochs=2, mini_batch_size=4
    )
    assert ended.exit_code == 0, ended.log
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        prefix + r"#quality_metric: host=algo-1, epoch=1, train rmse <loss>=\d\S+$",
        prefix + r"#progress_metric: host=algo-1, completed 50.0 % of epochs$",
        prefix + r"#throughput_metric: host=algo-1, train throughput=\d\S+ records/second$",
        prefix + r"Test data is not provided.$",
    ):
        assert re.search(line, ended.log, re.MULTILINE), line
    seen = [json.loads(m[1]) for m in re.finditer(r"^#metrics (.*)$", ended.log, re.M)]
    epochs = [m["Metrics"] for m in seen if "epoch" in m["Dimensions"]]
    assert [m["Total Batches Seen"]["sum"] for m in epochs] == [2, 4]


def small(is_binary: bool) -> FactorModel:
    random = np.random.default_rng(1)
    return FactorModel(
        is_binary,
        np.array([0.3], np.float32),
        random.normal(size=5).astype(np.float32),
        random.normal(size=(5, 3)).astype(np.float32),
    )


def test_scores_are_rendles_formula() -> None:
    found = small(False)
    row = np.array([[1, 0, -2, 0.5, 3]], np.float32)
    expected = found.bias[0] + found.linear @ row[0]
    for i, j in itertools.combinations(range(5), 2):
        expected += found.factors[i] @ found.factors[j] * row[0, i] * row[0, j]
    np.testing.assert_allclose(found.scores(row), [expected], rtol=1e-5)
    np.testing.assert_allclose(small(True).scores(row), [1 / (1 + np.exp(-expected))], rtol=1e-4)


NOTEBOOK = """
import json, os, sys, zipfile
import mxnet as mx
import numpy as np
os.chdir(sys.argv[1])
zipfile.ZipFile("model_algo-1").extractall()
os.rename("symbol.json", "model-symbol.json")
os.rename("params", "model-0000.params")
m = mx.module.Module.load("./model", 0, False, label_names=["out_label"])
V, w, b = (m._arg_params[name].asnumpy() for name in ("v", "w1_weight", "w0_weight"))
net = mx.gluon.SymbolBlock.imports("model-symbol.json", ["data"], "model-0000.params")
rows = json.loads(sys.argv[2])
print(json.dumps([V.shape, w.shape, b.shape, net(mx.nd.array(rows)).asnumpy()[:, 0].tolist()]))
"""


@pytest.mark.parametrize("is_binary", [False, True])
def test_notebooks_open_the_artifact_with_mxnet(
    mxnet_python: Path, tmp_path: Path, is_binary: bool
) -> None:
    written = small(is_binary)
    model.save(written, tmp_path / "model_algo-1", {"feature_dim": "5"})
    rows = [[1, 0, -2, 0.5, 3], [0, 0, 0, 0, 0]]
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", NOTEBOOK, tmp_path, json.dumps(rows)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *shapes, scores = json.loads(done.stdout.splitlines()[-1])
    assert shapes == [[5, 3], [5, 1], [1, 1]]
    np.testing.assert_allclose(scores, written.scores(np.array(rows, np.float32)), rtol=1e-5)


@pytest.mark.parametrize("is_binary", [False, True])
def test_both_layouts_of_the_original_are_read(tmp_path: Path, is_binary: bool) -> None:
    written = small(is_binary)
    model.save(written, tmp_path / "model_algo-1", {})
    with zipfile.ZipFile(tmp_path / "model_algo-1") as archive:
        symbol = archive.read("symbol.json")
    newer = {
        "arg:Linear_Plus_Bias_weight": written.linear[None],
        "arg:Linear_Plus_Bias_bias": written.bias,
        "arg:v": written.factors.T,
    }
    other = tmp_path / "newer"
    other.mkdir()
    with zipfile.ZipFile(other / "model_algo-1", "w") as archive:
        archive.writestr("symbol.json", symbol)
        archive.writestr("params", mxnet_ndarray.dumps(newer))
        kind = "binary_classifier" if is_binary else "regressor"
        archive.writestr("meta.json", json.dumps({"training_parameters": {"predictor_type": kind}}))
    rows = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    for folder in (tmp_path, other):
        np.testing.assert_allclose(model.load(folder).scores(rows), written.scores(rows), rtol=1e-5)


def test_an_archive_without_its_parts_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model_algo-1", "w") as archive:
        archive.writestr("meta.json", "{}")
    with pytest.raises(ArtifactError, match=r"has no symbol\.json; it holds meta\.json"):
        model.load(tmp_path)


def test_adam_is_that_of_the_paper_on_rows_that_are_touched(kernel: Kernel) -> None:
    for each in (None, kernel):
        values = np.array([[1.0], [2.0]], np.float32)
        adam = Adam(values, rate=0.1, decay=0.5, epsilon=1e-8, clip=1.0, kernel=each)
        adam.step(np.array([1]), np.array([[3.0]], np.float32))
        # The first step of Adam is the rate, whatever the gradient (here 1 + 0.5 * 2).
        np.testing.assert_allclose(values, [[1.0], [1.9]], rtol=1e-5)


def test_rows_are_cut_and_laid_out_in_any_way_with_the_same_result(
    ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for filled, cells in itertools.product((0, 1 << 40), (1 << 22, 300)):
        # Over all cells of a table, and over its entries.
        monkeypatch.setattr(gradients, "_FILLED", filled)
        monkeypatch.setattr(gradients, "_MOST_CELLS", cells)
        results.append(fitted(ratings, "regressor", None).scores(ratings.dense))
    for result in results[1:]:
        np.testing.assert_allclose(results[0], result, rtol=1e-3, atol=1e-3)


def fitted(ratings: Ratings, kind: str, kernel: Kernel | None) -> FactorModel:
    """Two epochs of training."""
    texts = {name: str(value) for name, value in {**GOOD, "epochs": 2}.items()}
    settings = settings_of(TABLE.validate(texts | {"predictor_type": kind, "clip_gradient": "0.5"}))
    labels = ratings.scores if kind == "regressor" else (ratings.scores > 3).astype(np.float64)
    data = Dataset(FilledRows(ratings.sparse), labels)
    return fit.fit(data, settings, Group(Resources()), lambda epoch: None, kernel)


@pytest.mark.parametrize("kind", ["regressor", "binary_classifier"])
def test_steps_in_c_are_those_in_numpy(ratings: Ratings, kernel: Kernel, kind: str) -> None:
    slow, fast = (fitted(ratings, kind, each) for each in (None, kernel))
    for name in ("bias", "linear", "factors"):
        found, expected = getattr(fast, name), getattr(slow, name)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_batch_in_c_has_the_gradients_of_numpy(kernel: Kernel) -> None:
    random = np.random.default_rng(0)
    # The second row is empty, and no row has the feature 0.
    rows = SparseRows(
        np.array([0, 3, 3, 5]), np.array([4, 1, 2, 2, 3]), random.random(5, np.float32), 5
    )
    drawn = (random.normal(size=size).astype(np.float32) for size in (1, 5, (5, 3)))
    trained = FactorModel(True, *drawn)
    batch, labels = np.array([2, 1, 0]), np.array([1.0, 0.0, 1.0])
    for _ in range(2):  # What is used again is as it was.
        found = kernel.batches(trained, rows).gradients(batch, labels, 0.5)
        expected = NumpyBatches(trained, rows).gradients(batch, labels, 0.5)
        order = np.argsort(found.touched)
        np.testing.assert_array_equal(found.touched[order], [1, 2, 3, 4])
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
        np.testing.assert_allclose(found.bias, expected.bias, rtol=1e-6)
        np.testing.assert_allclose(found.linear[order], expected.linear, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.factors[order], expected.factors, rtol=1e-5, atol=1e-7)


def test_sparse_rows_have_the_scores_of_dense_ones(ratings: Ratings) -> None:
    random = np.random.default_rng(0)
    drawn = (random.normal(size=size).astype(np.float32) for size in (1, 110, (110, 4)))
    trained = FactorModel(False, *drawn)
    expected = trained.scores(ratings.dense)
    np.testing.assert_allclose(trained.scores(ratings.sparse), expected, rtol=1e-4, atol=1e-5)
    twice = SparseRows(
        np.array([0, 3, 3]), np.array([7, 2, 7]), np.array([9, 1, 2], np.float32), 110
    )
    np.testing.assert_allclose(trained.scores(twice), trained.scores(twice.to_dense()), rtol=1e-5)


def test_products_over_entries_are_those_of_the_dense_table() -> None:
    random = np.random.default_rng(0)
    # The rows 2 and 5 are empty.
    owners = np.array([0, 0, 1, 3, 3, 3, 4])
    places = np.array([2, 0, 1, 0, 1, 2, 2])
    entries = Entries(6, owners, places, random.normal(size=7).astype(np.float32))
    dense, sparse = (kind(entries, 3, places) for kind in (Dense, Sparse))
    wide, long = (random.normal(size=(count, 4)).astype(np.float32) for count in (3, 6))
    cells = np.zeros((6, 3), np.float32)
    cells[owners, places] = entries.values
    for table in (dense, sparse):
        for expected, found in (
            (cells @ wide, table.times(wide)),
            (cells @ wide[:, 0], table.times(wide[:, 0])),
            (cells.T @ long, table.transposed_times(long)),
            (cells.T @ long[:, 0], table.transposed_times(long[:, 0])),
            (np.square(cells) @ wide[:, 0], table.squares_times(wide[:, 0])),
            (np.square(cells).T @ long[:, 0], table.transposed_squares_times(long[:, 0])),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("hyperparameters", "rows", "words"),
    [
        ({"predictor_type": "binary_classifier"}, np.eye(3), "train/a, row 3: the label is 2;"),
        ({"predictor_type": "regressor", "feature_dim": 4}, np.eye(3), "3 features, expected 4"),
        ({"predictor_type": "ranker"}, np.eye(3), "'ranker' is not one of"),
        ({"predictor_type": "regressor", "bias_lr": -1}, np.eye(3), "'bias_lr' must be"),
        ({"predictor_type": "regressor"}, np.zeros((0, 3)), "holds no data"),
        ({"predictor_type": "regressor"}, np.eye(3) * np.nan, "row 1: feature 1 is not a finite"),
    ],
)
def test_bad_input_is_told(
    job: Job, hyperparameters: dict[str, object], rows: Any, words: str
) -> None:
    labels = np.arange(len(rows), dtype=np.float32)
    content = encode_rows({"values": rows.astype(np.float32)}, {"values": labels})
    job.channel("train", {"a": content}, PROTOBUF)
    ended = job.run(**{"feature_dim": 3, "num_factors": 2, **hyperparameters})
    assert ended.exit_code == 2, ended.log
    assert words in ended.failure


def test_records_of_two_widths_and_files_that_are_cut_off_are_told(job: Job) -> None:
    asked = {"feature_dim": 3, "num_factors": 2, "predictor_type": "regressor"}
    good = encode_rows({"values": np.eye(3)}, {"values": np.ones(3)})
    wide = encode_rows({"values": np.eye(4)}, {"values": np.ones(4)})
    for content, words in (
        (good + wide, "4 values where the first record has 3; all records need as many"),
        (good + good[:-5], "truncated: the record's header promises"),
    ):
        ended = job.channel("train", {"a": content}, PROTOBUF).run(**asked)
        assert ended.exit_code == 2, ended.log
        assert ended.failure.startswith("ClientError: train/a, "), ended.failure
        assert words in ended.failure


def test_csv_is_refused(job: Job) -> None:
    ended = job.channel("train", {"a": "1,2,3\n"}).run(
        feature_dim=2, num_factors=2, predictor_type="regressor"
    )
    assert ended.exit_code == 2
    assert "Channel 'train' has ContentType 'text/csv'" in ended.failure
    assert PROTOBUF in ended.failure


def test_training_that_diverges_is_told(job: Job, ratings: Ratings) -> None:
    job.channel("train", {"a": ratings.records(ratings.scores * 1e30)}, PROTOBUF)
    ended = job.run(**GOOD | {"factors_lr": 1e30}, predictor_type="regressor")
    assert ended.exit_code == 1
    assert "Training diverged in epoch" in ended.failure


def test_an_endpoint_answers_scores_and_labels(tmp_path: Path, serve: Any) -> None:
    (tmp_path / "model").mkdir()
    written = small(True)
    model.save(written, tmp_path / "model" / "model_algo-1", {})
    rows = np.array([[1, 0, 0, 0.5, 0], [0, 0, 2, 0, -1]], np.float32)
    server = serve(tmp_path)
    dense = {"instances": [{"features": row.tolist()} for row in rows]}
    values = {"keys": [0, 3], "shape": [5], "values": [1, 0.5]}
    sparse = {"instances": [{"data": {"features": values}}]}

    answer = server.invoke(json.dumps(dense), "application/json").json["predictions"]
    alone = server.invoke(json.dumps(sparse), "application/json").json["predictions"]

    expected = written.scores(rows)
    np.testing.assert_allclose([entry["score"] for entry in answer], expected, rtol=1e-5)
    assert [entry["predicted_label"] for entry in answer] == (expected >= 0.5).astype(int).tolist()
    assert alone == answer[:1]


def test_the_readme_has_the_tables_of_the_declarations(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert FAMILY.channels.markdown() in readme

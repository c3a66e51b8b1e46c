"""Boosters in XGBoost's formats and in ONNX, whatever they were saved as."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sagelocal.models import ubjson
from sagelocal_xgboost import artifact
from sagelocal_xgboost.predictor import Predictor

from tests.local_mode.models import saved
from tests.local_mode.models.conftest import Command

Numbers = NDArray[Any]
GOLDEN = Path(__file__).parents[2] / "containers" / "xgboost" / "artifacts"
OLD = sorted(path for path in GOLDEN.glob("*/*") if path.suffix in (".model", ".pkl"))

FEATURES = 4
#: Objective or booster, and what training is told.
MODELS: Mapping[str, dict[str, Any]] = {
    "squares": {"objective": "reg:squarederror"},
    "squares of a base": {"objective": "reg:squarederror", "base_score": 2.5},
    "logarithms": {"objective": "reg:squaredlogerror"},
    "absolutes": {"objective": "reg:absoluteerror"},
    "huber": {"objective": "reg:pseudohubererror"},
    "quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.5, 0.9]},
    "probabilities": {"objective": "reg:logistic", "base_score": 0.3},
    "poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma"},
    "tweedie": {"objective": "reg:tweedie", "base_score": 2.0},
    "binary": {"objective": "binary:logistic"},
    "binary of a base": {"objective": "binary:logistic", "base_score": 0.2},
    "margins": {"objective": "binary:logitraw", "base_score": 0.2},
    "hinge": {"objective": "binary:hinge"},
    "classes": {"objective": "multi:softprob", "num_class": 3},
    "labels": {"objective": "multi:softmax", "num_class": 3},
    "ranks": {"objective": "rank:pairwise"},
    "gains": {"objective": "rank:ndcg"},
    "hazards": {"objective": "survival:cox"},
    "times": {"objective": "survival:aft"},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5, "seed": 1},
    "dart of classes": {"objective": "multi:softprob", "num_class": 3, "booster": "dart"},
    "a forest": {"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 2},
    "weights": {"objective": "reg:squarederror", "booster": "gblinear"},
    "weights of classes": {"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"},
}


def some_rows(count: int = 200, seed: int = 0) -> Numbers:
    """With holes."""
    rows = saved.floats(count, FEATURES, seed=seed)
    rows[np.random.default_rng(seed).uniform(size=rows.shape) < 0.1] = np.nan
    return rows


def trained(rounds: int = 6, **told: Any) -> xgboost.Booster:
    rows, objective = some_rows(), told["objective"]
    filled = np.nan_to_num(rows)
    labels = np.abs(filled[:, 0] + filled[:, 1]) + 0.1
    if objective.startswith(("binary", "reg:logistic")):
        labels = (filled[:, 0] > 0) * 1.0
    elif objective.startswith("multi") or objective.startswith("rank"):
        labels = np.digitize(filled[:, 0], [-0.5, 0.5]) * 1.0
    data = xgboost.DMatrix(rows, labels)
    if objective.startswith("rank"):
        data.set_group([20] * 10)
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", labels)
        data.set_float_info("label_upper_bound", labels + 1)
    return xgboost.train({"max_depth": 3, "nthread": 1, "verbosity": 0, **told}, data, rounds)


Asked = Callable[[Path, Numbers], Numbers]


@pytest.fixture(scope="module")
def by_onnx(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What ONNX Runtime predicts with a booster in a folder or file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def predictions(model: Path, rows: Numbers) -> Numbers:
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        done = command("export", model, "--to", "onnx", "--output", path)
        assert done.exit_code == 0, done.output
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (found,) = session.run(["prediction"], {"data": rows})
        assert isinstance(found, np.ndarray)
        return found

    return predictions


def exported(command: Command, model: Path, output: Path) -> xgboost.Booster:
    done = command("export", model, "--to", "xgboost", "--output", output)
    assert done.exit_code == 0, done.output
    return xgboost.Booster(model_file=output)


@pytest.mark.parametrize("name", MODELS)
def test_a_booster_in_onnx_predicts_as_the_image_does(
    name: str, tmp_path: Path, by_onnx: Asked
) -> None:
    artifact.save(trained(**MODELS[name]), tmp_path / artifact.MODEL_NAME)
    rows = some_rows(50, seed=1)
    expected = Predictor(artifact.load(tmp_path / artifact.MODEL_NAME)).rows(rows)
    found = by_onnx(tmp_path, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(found)) > 1


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
@pytest.mark.parametrize("name", MODELS)
def test_a_booster_in_its_own_formats_is_what_it_was(
    name: str, suffix: str, command: Command, tmp_path: Path
) -> None:
    booster = trained(**MODELS[name])
    artifact.save(booster, tmp_path / artifact.MODEL_NAME)
    found = exported(command, tmp_path, tmp_path / f"model{suffix}")
    assert found.save_raw("json") == booster.save_raw("json")


@pytest.mark.parametrize("path", OLD, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_booster_of_an_old_version_predicts_as_it_did_there(
    path: Path, command: Command, tmp_path: Path, by_onnx: Asked
) -> None:
    told = json.loads((path.parent / "expected.json").read_text())
    rows, expected = np.array(told["rows"], np.float32), told["predictions"][path.stem]
    np.testing.assert_allclose(by_onnx(path, rows), expected, rtol=0, atol=1e-6)
    for suffix in (".json", ".ubj"):
        found = exported(command, path, tmp_path / f"model{suffix}")
        predicted = found.predict(xgboost.DMatrix(rows))
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)


def test_of_a_training_that_stopped_early_the_best_rounds_count(
    tmp_path: Path, by_onnx: Asked
) -> None:
    booster = trained(**MODELS["a forest"])
    booster.set_attr(best_iteration="1")
    artifact.save(booster, tmp_path / artifact.MODEL_NAME)
    rows = some_rows(50, seed=1)
    found = by_onnx(tmp_path, rows)
    np.testing.assert_allclose(found, Predictor(booster).rows(rows), rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, booster.predict(xgboost.DMatrix(rows)))


def test_a_booster_of_no_rounds_answers_its_base_score(tmp_path: Path, by_onnx: Asked) -> None:
    booster = trained(0, objective="binary:logistic", base_score=0.2)
    artifact.save(booster, tmp_path / artifact.MODEL_NAME)
    np.testing.assert_allclose(by_onnx(tmp_path, some_rows(3)), [0.2] * 3, rtol=1e-6)


def test_a_wrapper_of_scikit_learn_is_its_booster(
    command: Command, tmp_path: Path, by_onnx: Asked
) -> None:
    saved.xgboost_wrapper(tmp_path)
    rows = saved.floats(20, 4, seed=3)
    booster = artifact.load(tmp_path / "model.joblib")
    expected = booster.predict(xgboost.DMatrix(rows))
    np.testing.assert_allclose(by_onnx(tmp_path, rows), expected, rtol=1e-5)
    found = exported(command, tmp_path, tmp_path / "out.json")
    np.testing.assert_array_equal(found.predict(xgboost.DMatrix(rows)), expected)


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_names_beyond_ascii_are_what_they_were(
    suffix: str, command: Command, tmp_path: Path
) -> None:
    rows, names = some_rows(20), ["größe", "価格", 'a "b"', "c\\d"]
    data = xgboost.DMatrix(rows, np.arange(20.0), feature_names=names)
    booster = xgboost.train({"nthread": 1}, data, 1)
    artifact.save(booster, tmp_path / artifact.MODEL_NAME)
    assert exported(command, tmp_path, tmp_path / f"model{suffix}").feature_names == names


class OldPickle:
    """A Booster as Python pickled it before models had names: they are its own attribute."""

    def __init__(self, content: bytes, names: list[str]) -> None:
        self.state = {"handle": bytearray(content), "feature_names": names}

    def __reduce__(self) -> tuple[object, ...]:
        return xgboost.Booster, (), self.state


def test_names_beside_an_old_model_are_kept(command: Command, tmp_path: Path) -> None:
    content = (GOLDEN / "1.3.3" / "regression.model").read_bytes()
    names = [f"feature {number}" for number in range(4)]
    (tmp_path / artifact.MODEL_NAME).write_bytes(pickle.dumps(OldPickle(content, names)))
    assert exported(command, tmp_path, tmp_path / "model.json").feature_names == names


def test_trees_with_several_outputs_in_a_leaf_go_from_json_to_ubj(
    command: Command, tmp_path: Path
) -> None:
    rows = some_rows(40)
    data = xgboost.DMatrix(rows, np.nan_to_num(rows[:, :2]))
    booster = xgboost.train({"multi_strategy": "multi_output_tree", "nthread": 1}, data, 2)
    (tmp_path / artifact.MODEL_NAME).write_bytes(booster.save_raw("json"))
    found = exported(command, tmp_path, tmp_path / "model.ubj")
    assert found.save_raw("json") == booster.save_raw("json")
    assert "several outputs in a leaf" in command.refusal("export", tmp_path, "--to", "onnx")


def test_a_document_that_has_no_form_in_ubj_is_refused(command: Command, tmp_path: Path) -> None:
    document = json.loads(trained(**MODELS["squares"]).save_raw("json"))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    trees[0]["sum_hessian"][0] = "much"
    (tmp_path / artifact.MODEL_NAME).write_text(json.dumps(document))
    said = command.refusal("export", tmp_path, "--to", "xgboost", "--output", "model.ubj")
    assert "no whole model of XGBoost: could not convert string to float: 'much'" in said


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path: Path, booster: xgboost.Booster) -> None:
        self.path, self.booster = path, booster

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,), {"booster": self.booster})


@pytest.mark.parametrize("target", ["onnx", "xgboost"])
def test_a_pickled_booster_is_exported_without_running_what_is_around_it(
    target: str, command: Command, tmp_path: Path
) -> None:
    trap, model = tmp_path / "trap", tmp_path / "xgboost-model"
    model.write_bytes(pickle.dumps([Hostile(trap, trained(**MODELS["squares"]))]))
    done = command("export", model, "--to", target, "--output", tmp_path / "model.json")
    assert done.exit_code == 0, done.output
    assert not trap.exists()


def test_folds_are_refused_and_one_of_them_is_not(command: Command, tmp_path: Path) -> None:
    for fold in range(3):
        booster = trained(fold + 1, objective="reg:squarederror")
        artifact.save(booster, tmp_path / artifact.model_name(fold))
    said = command.refusal("export", tmp_path, "--to", "onnx")
    assert "it holds 3 models, one of each fold" in said
    found = exported(command, tmp_path / "xgboost-model-2", tmp_path / "fold.json")
    assert found.num_boosted_rounds() == 3


def test_an_ending_of_no_format_is_refused(command: Command, tmp_path: Path) -> None:
    saved.xgboost_ubj(tmp_path)
    said = command.refusal("export", tmp_path, "--to", "xgboost", "--output", "model.bin")
    assert "end --output with .json or .ubj" in said


def test_splits_by_categories_are_refused_for_onnx(command: Command, tmp_path: Path) -> None:
    rows = np.arange(60).reshape(-1, 1) % 5
    data = xgboost.DMatrix(rows, rows[:, 0] % 2, feature_types=["c"], enable_categorical=True)
    booster = xgboost.train({"tree_method": "hist", "max_cat_to_onehot": 1}, data, 2)
    artifact.save(booster, tmp_path / artifact.MODEL_NAME)
    said = command.refusal("export", tmp_path, "--to", "onnx")
    assert "split by categories" in said
    found = exported(command, tmp_path, tmp_path / "model.ubj")
    assert found.save_raw("json") == booster.save_raw("json")


def test_an_objective_of_ones_own_is_named(command: Command, tmp_path: Path) -> None:
    document = json.loads(trained(**MODELS["squares"]).save_raw("json"))
    document["learner"]["objective"]["name"] = "mine:own"
    (tmp_path / "xgboost-model").write_text(json.dumps(document))
    said = command.refusal("export", tmp_path, "--to", "onnx")
    assert "the objective 'mine:own' has no form in ONNX here; export it --to xgboost" in said


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 63), (1 << 63) - 1)
        | st.floats(width=32, allow_nan=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_what_ubjson_writes_it_reads(value: object) -> None:
    assert ubjson.loads(ubjson.dumps(value)) == value


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u1", "i2", "i4", "i8", ">f4", ">i8"])
def test_arrays_keep_their_type_in_ubjson(dtype: str) -> None:
    array = np.array([1, 2, 100], dtype)
    found = ubjson.loads(ubjson.dumps({"a": array}))["a"]
    assert (found.dtype.kind, found.dtype.itemsize) == (array.dtype.kind, array.dtype.itemsize)
    np.testing.assert_array_equal(found, array)

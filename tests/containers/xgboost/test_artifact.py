"""Models of every version and form of XGBoost, read as what they were."""

from __future__ import annotations

import bz2
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_formats import FormatError, xgboost_binary
from sagelocal_xgboost import artifact
from sklearn.linear_model import LogisticRegression

ARTIFACTS = Path(__file__).parent / "artifacts"
OLD = sorted(
    path
    for path in ARTIFACTS.glob("*/*")
    if path.suffix in (".model", ".pkl", ".joblib") and path.is_file()
)
Train = Callable[..., xgboost.Booster]


@pytest.mark.parametrize("path", [pytest.param(p, id=f"{p.parent.name}-{p.name}") for p in OLD])
def test_a_model_of_an_older_version_predicts_as_it_did_there(path: Path) -> None:
    expected = json.loads((path.parent / "expected.json").read_text())
    rows = np.array(expected["rows"], np.float32)

    found = artifact.load(path).predict(xgboost.DMatrix(rows))

    assert expected["version"] == path.parent.name
    np.testing.assert_allclose(found, expected["predictions"][path.stem], rtol=0, atol=1e-6)


def test_the_golden_models_hold_the_old_binary_format() -> None:
    old = [path for path in OLD if xgboost_binary.looks_like(path.read_bytes())]
    assert {path.parent.name for path in old} == {"0.90", "1.3.3", "1.5.2", "1.7.6"}
    assert {path.stem for path in old} >= {"dart", "linear", "classes", "poisson"}


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_what_save_model_writes_is_read_whatever_the_file_is_called(
    train: Train, tmp_path: Path, suffix: str
) -> None:
    booster = train("binary:logistic")
    booster.save_model(tmp_path / f"saved{suffix}")
    (tmp_path / f"saved{suffix}").rename(tmp_path / "model.bin")

    (loaded,) = artifact.load_all(tmp_path)

    assert loaded.save_raw("json") == booster.save_raw("json")


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_classifier_dumped_with_joblib_is_its_booster(
    tmp_path: Path, features: Any, compress: Any
) -> None:
    labels = (np.nan_to_num(features[:, 0]) > 0) * 1
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1).fit(features, labels)
    joblib.dump(model, tmp_path / "model.joblib", compress=compress)

    (loaded,) = artifact.load_all(tmp_path)

    found = loaded.predict(xgboost.DMatrix(features))
    np.testing.assert_array_equal(found, model.predict_proba(features)[:, 1])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_booster_of_any_protocol_is_read(
    train: Train, tmp_path: Path, protocol: int
) -> None:
    booster = train("multi:softprob")
    (tmp_path / "xgboost-model").write_bytes(pickle.dumps(booster, protocol))
    assert artifact.load(tmp_path / "xgboost-model").get_dump() == booster.get_dump()


class OldPickle:
    """A Booster as XGBoost 1.0 to 1.5 pickled it: its handle is JSON."""

    def __init__(self, booster: xgboost.Booster) -> None:
        model = json.loads(booster.save_raw("json"))
        self.handle = json.dumps({"Model": model, "Config": {}}, ensure_ascii=False).encode()

    def __reduce__(self) -> tuple[object, ...]:
        return xgboost.Booster, (), {"handle": bytearray(self.handle)}


def test_names_beyond_ascii_in_an_old_pickle_are_what_they_were(tmp_path: Path) -> None:
    names = ["größe", "価格"]
    data = xgboost.DMatrix(np.eye(2), [0, 1], feature_names=names)
    booster = xgboost.train({"nthread": 1}, data, 1)
    (tmp_path / "xgboost-model").write_bytes(pickle.dumps(OldPickle(booster)))
    assert artifact.load(tmp_path / "xgboost-model").feature_names == names


# XGBoost guesses UBJ where a name has no ending, and says so.
@pytest.mark.filterwarnings("ignore")
def test_what_training_writes_is_read_back_whole(train: Train, tmp_path: Path) -> None:
    booster = train("reg:squarederror")
    booster.set_attr(best_iteration="2")

    artifact.save(booster, tmp_path / "model" / artifact.model_name())

    assert [path.name for path in (tmp_path / "model").iterdir()] == ["xgboost-model"]
    assert artifact.load(tmp_path / "model" / "xgboost-model").attr("best_iteration") == "2"
    assert xgboost.Booster(model_file=tmp_path / "model" / "xgboost-model").num_features() == 5


def test_folds_come_in_their_order_and_nothing_else_with_them(train: Train, tmp_path: Path) -> None:
    for fold in range(11):
        artifact.save(train("reg:squarederror", fold + 1), tmp_path / artifact.model_name(fold))
    (tmp_path / "notes.txt").write_text("not a model")
    rounds = [model.num_boosted_rounds() for model in artifact.load_all(tmp_path)]
    assert rounds == list(range(1, 12))


def test_files_beside_a_model_of_another_name_are_passed_over(train: Train, tmp_path: Path) -> None:
    train("reg:squarederror").save_model(tmp_path / "model.json")
    (tmp_path / "columns.json").write_text('["a", "b"]')
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "code").mkdir()
    assert len(artifact.load_all(tmp_path)) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "xgboost-model is empty"),
        (b"a,b\n", "xgboost-model is no model that XGBoost"),
        (b'{"learner": 1}', "xgboost-model is no model that XGBoost"),
        (b"binf" + bytes(200), "is no model"),
        (pickle.dumps(LogisticRegression()), "holds a LogisticRegression, no XGBoost model"),
        (bz2.compress(b"nothing"), "is no model"),
    ],
)
def test_a_file_that_is_no_model_is_said_with_its_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "xgboost-model").write_bytes(content)
    with pytest.raises(artifact.ArtifactError, match=said):
        artifact.load_all(tmp_path)


def test_an_empty_folder_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        artifact.ArtifactError, match=r"holds nothing\. Save the model with Booster"
    ):
        artifact.load_all(tmp_path)


@given(st.integers(0, 1700), st.binary(min_size=1, max_size=8))
def test_a_damaged_old_model_is_refused_and_never_crashes(place: int, damage: bytes) -> None:
    data = bytearray((ARTIFACTS / "1.7.6" / "regression.model").read_bytes())
    data[place : place + len(damage)] = damage
    try:
        document = xgboost_binary.loads(bytes(data))
    except FormatError:
        return
    assert document["learner"]["gradient_booster"]["name"] in ("gbtree", "dart", "gblinear")


@given(st.integers(0, 2400))
def test_a_cut_old_model_is_refused(size: int) -> None:
    data = (ARTIFACTS / "1.7.6" / "regression.model").read_bytes()[:size]
    with pytest.raises(FormatError):
        xgboost_binary.loads(data)


def test_a_base_score_beyond_numbers_is_refused() -> None:
    data = (ARTIFACTS / "0.90" / "logistic.model").read_bytes()
    damaged = struct.pack("<f", -1e30) + data[4:]
    with pytest.raises(FormatError, match="a base score of -1e\\+30 for binary:logistic"):
        xgboost_binary.loads(damaged)

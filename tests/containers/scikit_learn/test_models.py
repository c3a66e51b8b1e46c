"""Which file of an archive is the model, and what is said of one that cannot be loaded."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import sklearn
from sagelocal_scikit_learn.models import ModelNotReadable, find, load
from sagelocal_scikit_learn.versions import saved_by
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PLANE = LinearRegression().fit([[0, 0], [1, 0], [0, 1], [1, 1]], [1, 3, 4, 6])


class Ratio(BaseEstimator):  # type: ignore[misc]  # it has no type annotations
    """An estimator of the user's own."""

    def predict(self, rows: Any) -> list[float]:
        return [a / b for a, b in rows]


@contextmanager
def defined_in(name: str) -> Iterator[type[Ratio]]:
    """Ratio as a class of a module that is gone afterwards."""
    there = sys.modules.get(name)
    module = there or ModuleType(name)
    own = type("Ratio", (Ratio,), {"__module__": name})
    sys.modules[name] = module
    module.Ratio = own  # type: ignore[attr-defined]
    try:
        yield own
    finally:
        del module.Ratio
        if there is None:
            del sys.modules[name]


@pytest.mark.parametrize(
    "name",
    ["model.joblib", "model.pkl", "model.pickle", "rents.joblib", "sklearn-model", "out/rents.pkl"],
)
def test_a_model_of_any_name_is_found_if_it_is_the_only_one(model: Any, name: str) -> None:
    model.dump(PLANE, name).write("code/utils.py", "").write("._model.pkl", "")

    assert model.ask("1,1") == pytest.approx([6])


def test_the_usual_name_wins_and_other_files_do_not_count(model: Any) -> None:
    model.dump(PLANE).dump("another", "scaler.pkl").write("columns.json", "[]")

    assert find(model.folder).name == "model.joblib"


def test_the_one_with_the_ending_of_a_model_is_it(model: Any) -> None:
    model.dump(PLANE, "rents.pkl").write("columns.json", "[]").write("notes.md", "")

    assert find(model.folder).name == "rents.pkl"


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_compressed_models_are_loaded_and_tell_their_version(model: Any, compress: Any) -> None:
    model.dump(PLANE, compress=compress)

    assert load(str(model.folder)).coef_ == pytest.approx([2, 3])
    assert saved_by(model.folder / "model.joblib") == sklearn.__version__


def test_what_pickle_saved_is_loaded(model: Any) -> None:
    (model.folder / "model.pkl").write_bytes(pickle.dumps(PLANE))

    assert model.ask("1,1") == pytest.approx([6])


def test_an_archive_without_a_model_says_what_it_has_and_how_to_save_one(model: Any) -> None:
    model.write("weights.bin", "").write("notes.md", "").write("code/utils.py", "")

    with pytest.raises(ModelNotReadable) as refused:
        model.load()

    assert "no scikit-learn model among: notes.md, weights.bin." in str(refused.value)
    assert 'joblib.dump(model, "model.joblib")' in str(refused.value)
    assert "define model_fn" in str(refused.value)


def test_an_empty_archive_is_said(model: Any) -> None:
    with pytest.raises(ModelNotReadable, match="among: nothing"):
        model.load()


def test_of_several_models_none_is_guessed(model: Any) -> None:
    model.dump(PLANE, "first.joblib").dump(PLANE, "second.pkl")

    with pytest.raises(ModelNotReadable, match=r"\(first.joblib, second.pkl\).*model.joblib"):
        model.load()


@pytest.mark.parametrize("content", [b"", b"weights", b"\x80\x04\x95", b"\x78\x9c not zlib"])
def test_a_file_that_is_no_pickle_is_said(model: Any, content: bytes) -> None:
    (model.folder / "model.joblib").write_bytes(content)

    with pytest.raises(ModelNotReadable, match=r"model\.joblib is no model that joblib or pickle"):
        model.load()


def test_a_class_of_the_notebook_is_named_with_the_next_step(model: Any) -> None:
    with defined_in("__main__") as ratio:
        model.dump(ratio())

    with pytest.raises(ModelNotReadable) as refused:
        model.load()

    assert "needs 'Ratio', which was defined in the notebook or script" in str(refused.value)
    assert "Move it into a module of its own" in str(refused.value)


def test_a_module_of_the_users_is_named_with_the_next_step(model: Any) -> None:
    with defined_in("ratios") as ratio:
        model.dump(ratio())

    with pytest.raises(ModelNotReadable) as refused:
        model.load()

    assert "needs the module 'ratios', which is not in this image" in str(refused.value)
    assert "pack ratios.py into the folder code" in str(refused.value)


def test_a_module_packed_into_code_is_found_without_a_script(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with defined_in("ratios") as ratio:
        model.dump(ratio())
    model.write(
        "code/ratios.py",
        """
        class Ratio:
            def predict(self, rows):
                return [a / b for a, b in rows]
        """,
    )

    assert model.ask("[[6, 3]]", "application/json") == [2.0]
    del sys.modules["ratios"]


@pytest.fixture
def an_older_version(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """scikit-learn writes 1.2.2 into what it pickles, until this is undone."""
    monkeypatch.setattr("sklearn.base.__version__", "1.2.2")
    return monkeypatch


def test_a_model_of_another_version_is_served_and_said_in_one_line(
    model: Any, an_older_version: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scaled = make_pipeline(StandardScaler(), LinearRegression()).fit([[0.0], [1.0]], [0.0, 2.0])
    model.dump(scaled)
    an_older_version.undo()

    assert model.ask("3") == pytest.approx([6])

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        f"The model was saved by scikit-learn 1.2.2 and is loaded by {sklearn.__version__}"
    )


def test_a_model_of_this_version_is_loaded_without_a_word(
    model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model.dump(PLANE).load()

    assert caplog.records == []


def test_what_another_version_cannot_load_is_told_with_both(
    model: Any, an_older_version: pytest.MonkeyPatch
) -> None:
    with defined_in("sklearn.ratios") as ratio:
        model.dump(make_pipeline(StandardScaler(), ratio()), compress=3)
    an_older_version.undo()

    with pytest.raises(ModelNotReadable) as refused:
        model.load()

    assert (
        f"was saved by scikit-learn 1.2.2, and {sklearn.__version__} cannot load it "
        "(ModuleNotFoundError: No module named 'sklearn.ratios')"
    ) in str(refused.value)
    assert "name scikit-learn==1.2.2 in code/requirements.txt" in str(refused.value)


def test_what_was_dumped_may_be_no_model(model: Any) -> None:
    model.dump({"weights": [1, 2]})

    with pytest.raises(ValueError, match="is a dict, which has neither predict nor transform"):
        model.load()

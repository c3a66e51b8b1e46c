"""Models as files: what training writes, and everything that a model folder may hold.

Written is `xgboost-model` by `Booster.save_model`, or `xgboost-model-0 .. K-1` of cross-validation;
pickled where the original that was asked for does it, as those who read it expect.
Read is, whatever the file is called:

    UBJ, JSON          Booster.save_model, XGBClassifier.save_model (XGBoost 1.0 and later)
    the old binary     Booster.save_model up to XGBoost 1.7, SageMaker's images up to 1.7
    pickle, joblib     a Booster or one of the scikit-learn wrappers, compressed or not;
                       SageMaker's images up to 1.2 pickled a Booster

A pickle runs code of whoever wrote it, as it does in the original image: it is opened for model
artifacts only, which are the endpoint owner's own, and never for a request.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import pickle
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import xgboost
from sagelocal_formats import xgboost_binary

logger = logging.getLogger(__name__)

MODEL_NAME = "xgboost-model"

Booster = xgboost.Booster

_OWN_NAME = re.compile(rf"{MODEL_NAME}(-[0-9]+)?\Z")
# Protocol 2 and later; then what joblib compresses with: zlib, gzip, bzip2, xz, lzma, lz4.
_PICKLES = (b"\x80", b"x", b"\x1f\x8b", b"BZ", b"\xfd7zXZ", b"]\x00", b"\x04\x22\x4d\x18")


class ArtifactError(ValueError):
    """A folder or file that holds no XGBoost model; says what is there and what to do."""


def model_name(fold: int | None = None) -> str:
    """`xgboost-model`, or `xgboost-model-3` of one fold."""
    return MODEL_NAME if fold is None else f"{MODEL_NAME}-{fold}"


def save(booster: Booster, path: Path, *, pickled: bool = False) -> None:
    """Write a model whole or not at all, in XGBoost's UBJ or as a pickle; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pickle.dumps(booster) if pickled else booster.save_raw("ubj"))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def find(model_dir: Path) -> list[Path]:
    """The files of a folder that may be models; those with the original's names, if any are."""
    if not model_dir.is_dir():
        return []
    files = sorted(p for p in model_dir.iterdir() if p.is_file() and not p.name.startswith("."))
    own = [path for path in files if _OWN_NAME.match(path.name)]
    return sorted(own, key=_fold) if own else files


def _fold(path: Path) -> int:
    return int(path.name.rpartition("-")[2]) if path.name != MODEL_NAME else -1


def load_all(model_dir: Path) -> list[Booster]:
    """The models of a folder, in the order of `find`; raises ArtifactError if there are none.

    Beside models that have names of their own other files may lie; they are passed over.
    """
    found = find(model_dir)
    models, problems = [], []
    for path in found:
        try:
            models.append(load(path))
        except ArtifactError as error:
            if _OWN_NAME.match(path.name):
                raise
            problems.append(str(error))
    if models:
        for problem in problems:
            logger.info("Passed over: %s", problem)
        return models
    if not found:
        there = ", ".join(sorted(p.name for p in model_dir.iterdir())) if model_dir.is_dir() else ""
        problems = [f"the model folder holds {there or 'nothing'}"]
    raise ArtifactError(
        f"{'; '.join(problems)}. Save the model with Booster.save_model, pickle or joblib as "
        f"{MODEL_NAME!r} at the top of model.tar.gz"
    )


def load(path: Path) -> Booster:
    """One model; raises ArtifactError that names the file."""
    data = path.read_bytes()
    try:
        return _decode(data, path)
    except ArtifactError:
        raise
    except Exception as error:  # a pickle may raise anything
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ArtifactError(
            f"{path.name} is no model that XGBoost {xgboost.__version__} reads (UBJ, JSON, the old "
            f"binary format, pickle or joblib): "
            f"{type(error).__name__}: {_without_place(reason)}"
        ) from error


def _without_place(text: str) -> str:
    """A message of XGBoost without the time and source line that it begins with."""
    return re.sub(r"^\[[0-9:]+\] \S+:[0-9]+: ", "", text)


def _decode(data: bytes, path: Path) -> Booster:
    if not data:
        raise ArtifactError(f"{path.name} is empty")
    if data[:1] == b"{":
        return _from_document(data)
    if not data.startswith(_PICKLES) and xgboost_binary.looks_like(data):
        return _from_legacy(data)
    return _booster_of(_unpickled(path), path)


def _from_document(data: bytes) -> Booster:
    """UBJ and JSON; XGBoost tells them apart."""
    return Booster(model_file=bytearray(data))


def _from_legacy(data: bytes) -> Booster:
    return _from_document(_as_json(xgboost_binary.loads(data)))


def _as_json(document: Any) -> bytes:
    """XGBoost's reader keeps escapes as they are: letters beyond ASCII are written without."""
    return json.dumps(document, ensure_ascii=False).encode()


def _unpickled(path: Path) -> Any:
    with warnings.catch_warnings():
        # Models of other versions are the rule here; what cannot be read raises.
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as stream:
                return _Unpickler(stream).load()
        except pickle.UnpicklingError:
            return _with_joblib(path)
        except (ModuleNotFoundError, AttributeError, EOFError, ValueError, KeyError, IndexError):
            # joblib writes arrays between the pickle's own bytes, which plain pickle stumbles over.
            return _with_joblib(path)


class _Unpickler(pickle.Unpickler):
    """Reads what versions pickled that this XGBoost reads no more, too."""

    def find_class(self, module: str, name: str) -> Any:
        return _OLD.get((module, name)) or super().find_class(module, name)


def _with_joblib(path: Path) -> Any:
    """The same, for files of joblib, which looks names up in the modules themselves."""
    with contextlib.ExitStack() as names:
        for (module, name), found in _OLD.items():
            names.enter_context(_named(importlib.import_module(module), name, found))
        return joblib.load(path)


@contextlib.contextmanager
def _named(module: ModuleType, name: str, found: type) -> Iterator[None]:
    """While it lasts, `name` is `found` in the module."""
    before = getattr(module, name, None)
    setattr(module, name, found)
    try:
        yield
    finally:
        if before is None:
            delattr(module, name)
        else:
            setattr(module, name, before)


class _AnyVersion(Booster):
    """A Booster whose pickled state may be of any version."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        handle = state.get("handle")
        if handle is not None:
            state["handle"] = _serialised_for_this_version(bytes(handle))
        super().__setstate__(state)


class _Labels:
    """The classes that an XGBClassifier of 0.90 to 1.5 told apart: its booster needs none."""


_OLD: Mapping[tuple[str, str], type] = {
    ("xgboost.core", "Booster"): _AnyVersion,
    ("xgboost.compat", "XGBoostLabelEncoder"): _Labels,
}
"""What stands for a name of an older version while a model of it is read."""


def _serialised_for_this_version(data: bytes) -> bytearray:
    if data[:1] == b"{" and data[1:2].isalpha():
        return bytearray(data)  # UBJ
    if data[:1] == b"{":  # JSON of 1.0 to 1.5: the model, and a configuration that may be left out
        booster = _from_document(_as_json(json.loads(data)["Model"]))
    else:
        booster = _from_legacy(data)
    return bytearray(booster.__getstate__()["handle"])


def _booster_of(loaded: Any, path: Path) -> Booster:
    if isinstance(loaded, xgboost.XGBModel):
        loaded = loaded.get_booster()
    if isinstance(loaded, Booster):
        return Booster(model_file=bytearray(loaded.save_raw("ubj")))
    raise ArtifactError(
        f"{path.name} holds a {type(loaded).__name__}, no XGBoost model; a script with "
        "model_fn and predict_fn can serve it"
    )

"""The model that a notebook saved: which file of the archive it is, and loading it.

    model.joblib, model.pkl, model.pickle   the first of these that is there
    *.joblib, *.pkl, ...                    the only one of these endings
    any other name                          the only file

`joblib.load` reads what joblib.dump and pickle.dump wrote, compressed or not. Loading runs the code
that a pickle names, as it does in the cloud: a model is the user's own, as its script is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib

from sagelocal_scikit_learn.versions import CURRENT, saved_by

NAMES = ("model.joblib", "model.pkl", "model.pickle")
SUFFIXES = (".joblib", ".pkl", ".pickle", ".sav", ".jbl")
CODE_FOLDER = "code"
SHOWN = 10

_HOW_TO_SAVE = (
    'Save the model with joblib.dump(model, "model.joblib") and pack that file, or define '
    "model_fn in code/inference.py."
)


class ModelNotReadable(ValueError):
    """The model folder holds no model that can be loaded; the text says why, and the next step."""


def load(model_dir: str) -> Any:
    """The fitted estimator, or whatever object was dumped. Raises ModelNotReadable."""
    folder = Path(model_dir)
    path = find(folder)
    _see_modules_of(folder)
    try:
        return joblib.load(path)
    except Exception as error:
        raise ModelNotReadable(_why(path, error)) from error


def find(folder: Path) -> Path:
    """The file of the model, also below a folder of the archive. Raises ModelNotReadable."""
    files = _files(folder)
    for name in NAMES:
        if (folder / name) in files:
            return folder / name
    likely = [path for path in files if path.suffix in SUFFIXES]
    if len(likely) == 1:
        return likely[0]
    if not likely and len(files) == 1:
        return files[0]
    raise ModelNotReadable(_what_is_there(folder, likely or files, bool(likely)))


def _files(folder: Path) -> list[Path]:
    """Every file that may be the model: none of the user's code, nothing hidden."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if parts[0] != CODE_FOLDER and not hidden and path.is_file():
            found.append(path)
    return found


def _what_is_there(folder: Path, files: list[Path], several_models: bool) -> str:
    names = ", ".join(str(path.relative_to(folder)) for path in files[:SHOWN]) or "nothing"
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    if several_models:
        return (
            f"The model archive holds several models ({names}{more}). Name the one to serve "
            "model.joblib, or define model_fn in code/inference.py."
        )
    return f"There is no scikit-learn model among: {names}{more}. {_HOW_TO_SAVE}"


def _see_modules_of(folder: Path) -> None:
    """A pickle finds modules that were packed into code/, also without a script there."""
    code = str(folder / CODE_FOLDER)
    if (folder / CODE_FOLDER).is_dir() and code not in sys.path:
        sys.path.insert(0, code)


def _why(path: Path, error: Exception) -> str:
    """What went wrong while a file was unpickled, and what to do about it."""
    if isinstance(error, ModuleNotFoundError) and not _is_of_scikit_learn(error):
        return _missing_module(path.name, error)
    if isinstance(error, AttributeError) and "'__main__'" in str(error):
        return (
            f"{path.name} needs {_attribute(error)}, which was defined in the notebook or script "
            "that saved the model. Move it into a module of its own, import it from there, save "
            "the model again, and pack the module into the folder code of model.tar.gz."
        )
    what = f"{type(error).__name__}: {_first_line(error)}"
    version = saved_by(path)
    if version is None:
        return f"{path.name} is no model that joblib or pickle saved ({what}). {_HOW_TO_SAVE}"
    if version == CURRENT:
        return f"{path.name} cannot be loaded ({what})."
    return (
        f"{path.name} was saved by scikit-learn {version}, and {CURRENT} cannot load it ({what}). "
        f"Save it again with {CURRENT}, or name scikit-learn=={version} in code/requirements.txt."
    )


def _is_of_scikit_learn(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] == "sklearn"


def _missing_module(name: str, error: ModuleNotFoundError) -> str:
    module = (error.name or str(error)).partition(".")[0]
    return (
        f"{name} needs the module {module!r}, which is not in this image. If it is your own, pack "
        f"{module}.py into the folder code of model.tar.gz; if it is a package, name it in "
        "code/requirements.txt."
    )


def _attribute(error: Exception) -> str:
    """The name in: Can't get attribute 'Ratio' on <module '__main__' ...>"""
    parts = str(error).split("'")
    return repr(parts[2]) if parts[0] == "Can" and len(parts) > 2 else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

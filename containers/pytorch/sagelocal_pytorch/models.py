"""The model that needs no script: a TorchScript file.

    model.pt             if it is there
    *.pt, *.pth          else the only one

These are the files that the PyTorch inference toolkit's default handler reads, by `torch.jit.load`.
What `torch.save` wrote is weights without a network, or a pickle that needs the classes of the
notebook; it is refused, in words that say which, as the original refuses it in others.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

NAME = "model.pt"
SUFFIXES = (".pt", ".pth")
CODE_FOLDER = "code"
SHOWN = 10

Model = Any
"""A torch.nn.Module or a torch.jit.ScriptModule; torch's own annotations are incomplete."""

_HOW_TO_SAVE = (
    'Save the model with torch.jit.script(model).save("model.pt"), or define model_fn in '
    "code/inference.py"
)


class ModelNotReadable(ValueError):
    """The model folder holds no model that can be loaded; the text says why, and the next step."""


def device() -> torch.device:
    """Where models are: the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(model_dir: str) -> Model:
    """The TorchScript model in `model_dir`, ready to predict. Raises ModelNotReadable."""
    path = find(Path(model_dir))
    try:
        model = torch.jit.load(str(path), map_location=device())
    except Exception as error:
        raise ModelNotReadable(_why(path, error)) from error
    return model.eval()


def find(folder: Path) -> Path:
    """The file of the model. Raises ModelNotReadable."""
    if (folder / NAME).is_file():
        return folder / NAME
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and _may_be_model(path, folder)
    )
    likely = [path for path in files if path.parent == folder and path.suffix in SUFFIXES]
    if len(likely) == 1:
        return likely[0]
    names = ", ".join(str(path.relative_to(folder)) for path in (likely or files)[:SHOWN])
    if likely:
        raise ModelNotReadable(
            f"The model archive holds several models ({names}). Name the one to serve {NAME}, or "
            "define model_fn in code/inference.py"
        )
    raise ModelNotReadable(f"There is no PyTorch model among: {names or 'nothing'}. {_HOW_TO_SAVE}")


def _may_be_model(path: Path, folder: Path) -> bool:
    return path.relative_to(folder).parts[0] != CODE_FOLDER and not path.name.startswith(".")


def _why(path: Path, error: Exception) -> str:
    """What a file holds that is no TorchScript."""
    if not zipfile.is_zipfile(path):
        what = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return f"{path.name} is no file that PyTorch saved ({what}). {_HOW_TO_SAVE}"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return (
            f"{path.name} was saved by torch.save(model): it needs the classes of the script that "
            f"saved it, and only code/inference.py can bring them. {_HOW_TO_SAVE}"
        )
    except Exception:
        what = f"{type(error).__name__}: {str(error).strip().splitlines()[-1:]}"
        return (
            f"{path.name} cannot be loaded by PyTorch {torch.__version__} ({what}). {_HOW_TO_SAVE}"
        )
    kind = "weights without a network (a state_dict)" if isinstance(weights, dict) else "a tensor"
    return f"{path.name} holds {kind}. {_HOW_TO_SAVE}"

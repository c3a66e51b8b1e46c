"""The SavedModels of a model archive, by name and version.

    1/saved_model.pb                     version 1 of `model`, the folder that the archive lies in
    half_plus_two/00000123/saved_model.pb     version 123 of `half_plus_two`
    export/Servo/1/saved_model.pb        version 1 of `Servo`

A model is a folder with versions in it, and a version is a number; that is what the original reads
(sagemaker-tensorflow-serving-container, "Deploying a TensorFlow Serving Model").
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "saved_model.pb"
# Where scripts lie; a SavedModel there is data of theirs.
CODE_FOLDER = "code"
_SHOWN_NAMES = 12

# Files of models that are saved in another way, and how to save them in this one.
_NEXT_STEPS = {
    ".keras": 'Export it with model.export(os.environ["SM_MODEL_DIR"] + "/1")',
    ".h5": 'Load it with keras.models.load_model and export it: model.export(".../1")',
    ".hdf5": 'Load it with keras.models.load_model and export it: model.export(".../1")',
    ".pt": "This is a model of PyTorch: deploy it with PyTorchModel",
    ".pth": "This is a model of PyTorch: deploy it with PyTorchModel",
    ".params": "This is a model of MXNet: deploy it with MXNetModel",
    ".joblib": "This is a model of scikit-learn: deploy it with SKLearnModel",
    ".onnx": "Convert it to a SavedModel first",
    ".ckpt": "A checkpoint has no signatures; save with tf.saved_model.save or model.export",
    ".index": "A checkpoint has no signatures; save with tf.saved_model.save or model.export",
}


class NoSavedModel(ValueError):
    """An archive without a SavedModel that can be served; the text says what is there."""


@dataclass(frozen=True, order=True)
class Bundle:
    """One version of one model."""

    name: str
    version: int
    folder: Path


def find(folder: Path, name: str | None = None) -> list[Bundle]:
    """The bundles below a folder, by name and version; raises NoSavedModel.

    A `name` stands for that of the only model, as behind a multi-model endpoint.
    """
    graphs = sorted(_graphs(folder))
    found = [
        Bundle(graph.parent.parent.name, int(graph.parent.name), graph.parent)
        for graph in graphs
        if graph.parent != folder and _is_version(graph.parent.name)
    ]
    if not found:
        raise NoSavedModel(_explained(folder, graphs))
    found = _first_of_each(found)
    if name is not None and len({bundle.name for bundle in found}) == 1:
        found = [Bundle(name, bundle.version, bundle.folder) for bundle in found]
    return sorted(found)


def _graphs(folder: Path) -> list[Path]:
    found = []
    for base, folders, names in os.walk(folder):
        if Path(base) == folder:
            folders[:] = [each for each in folders if each != CODE_FOLDER]
        if FILE_NAME in names:
            found.append(Path(base) / FILE_NAME)
    return found


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _first_of_each(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Two folders may end in the same name; TensorFlow Serving knows one model of it."""
    first: dict[tuple[str, int], Bundle] = {}
    for bundle in bundles:
        first.setdefault((bundle.name, bundle.version), bundle)
    return list(first.values())


def _explained(folder: Path, graphs: Sequence[Path]) -> str:
    if graphs:
        where = graphs[0].parent.relative_to(folder)
        return (
            f"The SavedModel in {str(where)!r} of the model archive has no version: its folder "
            "must be named by a number, such as 1. Save it to "
            'os.environ["SM_MODEL_DIR"] + "/1" and pack that folder.'
        )
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    suffix = next((Path(name).suffix for name in names if Path(name).suffix in _NEXT_STEPS), "")
    step = _NEXT_STEPS.get(suffix, 'Save the model with tf.saved_model.save(model, ".../1")')
    return (
        f"no SavedModel bundles found! The model archive holds {shown or 'nothing'}; a model is "
        f"NAME/VERSION/{FILE_NAME} or VERSION/{FILE_NAME}. {step}."
    )

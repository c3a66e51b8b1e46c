"""Which family made a model, and what is in it: the first reader that knows it."""

from __future__ import annotations

from collections.abc import Callable

from sagelocal.models import built_in, frameworks
from sagelocal.models.model import Model
from sagelocal.models.source import Files

# Those that go by more come first: a Hugging Face model may hold a .bin that looks like another's.
READERS: tuple[Callable[[Files], Model | None], ...] = (
    built_in.linear_learner,
    built_in.factorization_machines,
    built_in.arrays_of_mxnet,
    built_in.neighbours,
    frameworks.mxnet,
    frameworks.hugging_face,
    frameworks.tensorflow,
    frameworks.onnx,
    frameworks.pytorch,
    frameworks.blazingtext,
    frameworks.xgboost,
    frameworks.scikit_learn,
)


def inspect(files: Files) -> Model:
    """What the files are; a model of no known kind says so. Raises ModelError for a broken one."""
    for reader in READERS:
        found = reader(files)
        if found is not None:
            return found
    return Model(
        None,
        "a model of no kind that is known here",
        files.listing(),
        notes=(
            f"it holds {files.listing()}; to serve it, name an image and bring a script: "
            "sagelocal serve MODEL --image scikit-learn --code FOLDER",
        ),
    )

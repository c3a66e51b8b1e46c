"""Which family has a form in which library, and what to do about those that have none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.exporting.written import Written
from sagelocal.models.model import Model

Target = Literal["onnx", "sklearn", "xgboost", "savedmodel"]

#: What a target is called, and where it lies if nothing else is said.
NAMES: Mapping[Target, tuple[str, str]] = {
    "onnx": ("ONNX", "model.onnx"),
    "sklearn": ("scikit-learn", "model.joblib"),
    "xgboost": ("XGBoost's own formats", "model.json"),
    "savedmodel": ("TensorFlow's SavedModel", "savedmodel/1"),
}

#: Every combination that is there.
FORMS: Mapping[str, tuple[Target, ...]] = {
    "linear-learner": ("onnx", "sklearn", "savedmodel"),
    "kmeans": ("onnx", "sklearn", "savedmodel"),
    "pca": ("onnx", "sklearn", "savedmodel"),
    "knn": ("onnx", "sklearn"),
    "factorization-machines": ("onnx", "savedmodel"),
    "xgboost": ("onnx", "xgboost"),
    "image-classification": ("onnx",),
    "mxnet": ("onnx",),
}

_SERVE = (
    "No other target has it either; sagelocal model inspect says what it holds, sagelocal serve "
    "answers with it"
)
# Why not, and what instead, by family or by what a model of none is said to be.
_WHY: Mapping[tuple[str, Target], str] = {
    ("xgboost", "sklearn"): (
        "XGBoost has scikit-learn's interface itself: export --to xgboost, then "
        "XGBClassifier().load_model(PATH), or XGBRegressor"
    ),
    ("xgboost", "savedmodel"): (
        "TensorFlow has no operator for trees outside of Decision Forests; what serves ONNX serves "
        "it --to onnx"
    ),
    ("knn", "savedmodel"): "what serves ONNX serves it --to onnx",
    ("image-classification", "savedmodel"): (
        "nothing here writes whole networks as graphs of TensorFlow; what serves ONNX serves it "
        "--to onnx"
    ),
    ("mxnet", "savedmodel"): (
        "nothing here writes whole networks as graphs of TensorFlow; what serves ONNX serves it "
        "--to onnx"
    ),
    ("deepar", "onnx"): (
        "its network is one step of many, between which the image's own program draws samples; "
        "serve it with the forecasting-deepar image"
    ),
    ("random-cut-forest", "onnx"): (
        "ONNX has no operator for scores that depend on how deep a row would be cut off; serve it "
        "with the randomcutforest image"
    ),
    ("blazingtext", "onnx"): (
        "it begins with texts, whose words and n-grams fastText looks up by hashes of its own; "
        "model.bin is fastText's own format: fasttext.load_model"
    ),
    ("scikit-learn", "onnx"): (
        "it is a pickle, which is not run here, and skl2onnx needs the estimator itself; where "
        "running it is safe, in an environment with the scikit-learn that saved it: pip install "
        "skl2onnx, then skl2onnx.to_onnx(joblib.load(FILE), rows[:1])"
    ),
    ("scikit-learn", "sklearn"): "it is scikit-learn's already: joblib.load opens it",
    ("pytorch", "onnx"): (
        "torch.onnx.export needs the network itself, which is code beside the tensors: run it in "
        "the pytorch image or your environment"
    ),
    ("hugging-face", "onnx"): (
        "optimum knows the architectures: pip install optimum[onnxruntime], then optimum-cli "
        "export onnx --model FOLDER OUTPUT"
    ),
    ("tensorflow", "onnx"): (
        "tf2onnx does it, with TensorFlow: python -m tf2onnx.convert --saved-model FOLDER --output "
        "model.onnx"
    ),
    ("an ONNX model", "onnx"): "it is ONNX already",
    ("tensorflow", "savedmodel"): "it is a SavedModel already: unpack the archive",
}

_MODULES: Mapping[Target, str] = {target: f"{__package__}.to_{target}" for target in NAMES}
_Exporter = Callable[[Model, Path], Written]


def export(model: Model, target: Target, output: Path | None = None) -> Written:
    """Write the model for a library; raises ModelError, NoExport where there is no such form."""
    if model.family is None or target not in FORMS.get(model.family, ()):
        raise NoExport(_refusal(model, target))
    if model.facts.get("folds", 1) > 1:
        raise NoExport(
            f"it holds {model.facts['folds']} models, one of each fold, whose answers the image "
            f"joins; unpack it and name one of them, such as {model.because}"
        )
    name, usual = NAMES[target]
    try:
        module = importlib.import_module(_MODULES[target])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "sagelocal":
            raise
        raise ModelError(
            f"{name} needs the package {error.name}, which is not installed here: pip install "
            f"'sagelocal[{target}]'"
        ) from error
    exporter = cast(_Exporter, module.export)
    return exporter(model, Path(usual) if output is None else output)


def _refusal(model: Model, target: Target) -> str:
    kind = model.family or model.says
    forms = FORMS.get(kind, ())
    others = f"It has one --to {', '.join(forms)}" if forms else _SERVE
    why = _WHY.get((kind, target)) or _usual_reason(model.family, target)
    return f"{model.says} has no form in {NAMES[target][0]}: {why}. {others}"


def _usual_reason(family: str | None, target: Target) -> str:
    if target == "xgboost":
        return "it holds no trees or weights of XGBoost"
    if family is None:
        return "nothing here knows what it computes"
    if target == "sklearn":
        return "scikit-learn has no estimator that computes it"
    return f"only the {family} image or its own library computes it"

"""The default model_fn and predict_fn: transformers' pipeline for the model's task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import transformers
from sagelocal_serve import BadRequest

# transformers imports its parts when they are asked for; this one all workers have in common.
from transformers import pipeline

from sagelocal_hugging_face import hub
from sagelocal_hugging_face.tasks import task_of

MODEL_ID_VARIABLE = "HF_MODEL_ID"

Pipeline = Any
"""A transformers.Pipeline; its own annotations are incomplete."""

# These read pictures or sound, by what the model's folder says of it; all others read text.
_WITHOUT_TOKENIZER = frozenset(
    {
        "audio-classification",
        "automatic-speech-recognition",
        "image-classification",
        "image-segmentation",
        "object-detection",
        "zero-shot-image-classification",
    }
)


class ModelNotReadable(ValueError):
    """The folder holds no model that can be loaded; the text says why, and the next step."""


def load(model_dir: str) -> Pipeline:
    """The pipeline of the model in the folder, or of the one that HF_MODEL_ID names.

    Raises NoTask, NotFetched or ModelNotReadable.
    """
    named = os.environ.get(MODEL_ID_VARIABLE)
    folder = hub.fetch(named) if named else Path(model_dir)
    task = task_of(folder)
    options: dict[str, Any] = {} if task in _WITHOUT_TOKENIZER else {"tokenizer": str(folder)}
    try:
        return pipeline(
            task=task,
            model=str(folder),
            device=0 if torch.cuda.is_available() else -1,
            trust_remote_code=_is_true(os.environ.get("HF_TRUST_REMOTE_CODE", "")),
            framework="pt",
            **options,
        )
    except Exception as error:  # transformers raises whatever its parts meet
        raise ModelNotReadable(_why(folder, task, error)) from error


def predict_fn(data: Any, model: Pipeline) -> Any:
    """What the pipeline makes of `inputs` and `parameters`, or of all that was sent.

    Raises BadRequest for what it cannot take: the caller chose both.
    """
    inputs, parameters = data, None
    if isinstance(data, dict):
        inputs = data.get("inputs", data)
        parameters = data.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadRequest(
            f'"parameters" is a {type(parameters).__name__}, and must be an object such as '
            '{"top_k": 2}.'
        )
    return model(inputs, **(parameters or {}))


def _why(folder: Path, task: str, error: Exception) -> str:
    names = sorted(path.name for path in folder.iterdir())
    what = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        return (
            f"There are no weights of PyTorch among: {', '.join(names[:10])}. Save the model with "
            f"model.save_pretrained ({what})"
        )
    return (
        f"transformers {transformers.__version__} cannot load the model for {task!r} "
        f"({what}). Save both model and tokenizer with save_pretrained, set HF_TASK if it is for "
        "another task, or define model_fn in code/inference.py"
    )


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "true", "t", "yes", "y", "on")

"""A model that the environment names: HF_MODEL_ID, HF_MODEL_REVISION, HF_API_TOKEN.

huggingface_hub keeps what it downloads below HF_HOME, and gives it from there where the hub cannot
be reached or HF_HUB_OFFLINE=1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import huggingface_hub
from huggingface_hub.constants import HF_HUB_CACHE

# Weights of other frameworks, which are as large as those that are read.
_OTHER_WEIGHTS = (
    "tf_model.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.tflite",
    "*.mlmodel",
    "openvino*",
)


class NotFetched(RuntimeError):
    """The model could not be fetched; the text says why, and the next step."""


def fetch(model_id: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of a model of the hub, downloaded or from the cache. Raises NotFetched."""
    revision = environ.get("HF_MODEL_REVISION") or None
    try:
        folder = huggingface_hub.snapshot_download(
            model_id,
            revision=revision,
            token=environ.get("HF_API_TOKEN") or environ.get("HF_TOKEN") or None,
            ignore_patterns=list(_OTHER_WEIGHTS),
        )
    except Exception as error:  # of requests, of the hub's own, of the file system
        reason = str(error).strip().partition("\n")[0]
        at = f"{model_id}@{revision}" if revision else model_id
        raise NotFetched(
            f"HF_MODEL_ID={at} cannot be fetched from the Hugging Face Hub, and is not in the "
            f"cache {HF_HUB_CACHE} ({type(error).__name__}: {reason}). Where there is no "
            "network, pack what model.save_pretrained and tokenizer.save_pretrained write into "
            "model.tar.gz and give that as the model's data, or fill the cache (HF_HOME) by "
            f"`huggingface-cli download {model_id}` elsewhere"
        ) from error
    return Path(folder)

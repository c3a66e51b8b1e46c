"""The source of an inference script that is in S3.

The SageMaker SDK packs a PyTorchModel's script into the model's archive, but for frameworks before
PyTorch 1.2, where SAGEMAKER_SUBMIT_DIRECTORY is s3://... .
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from sagelocal_serve import Settings
from sagelocal_train import source


def with_local_source(settings: Settings) -> Settings:
    """The settings with the script's archive unpacked, if it is in S3.

    Raises sagelocal_train's ScriptError or PlatformError.
    """
    submitted = settings.submit_directory or ""
    if not submitted.startswith("s3://"):
        return settings
    folder = Path(tempfile.mkdtemp(prefix="source-"))
    source.bring(submitted, folder, os.environ)
    return replace(settings, submit_directory=str(folder))

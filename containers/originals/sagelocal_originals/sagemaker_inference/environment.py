"""Where the model and its code lie, and the settings that the toolkit read."""

from __future__ import annotations

import os
from pathlib import Path

from sagelocal_serve import Settings

_settings = Settings.read(os.environ)

base_dir = str(_settings.base_dir)
model_dir = str(_settings.model_dir)
code_dir = str(Path(model_dir) / "code")


class Environment:
    """The settings of this container, under the toolkit's names for them."""

    def __init__(self) -> None:
        variables = os.environ
        settings = Settings.read(variables)
        self.module_name = settings.program.removesuffix(".py")
        self.model_server_timeout = settings.timeout_seconds
        self.model_server_workers = variables.get("SAGEMAKER_MODEL_SERVER_WORKERS")
        self.default_accept = variables.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or (
            "application/json"
        )
        self.inference_http_port = variables.get("SAGEMAKER_BIND_TO_PORT") or "8080"
        self.http_port = self.inference_http_port
        self.safe_port_range = variables.get("SAGEMAKER_SAFE_PORT_RANGE")

"""Saving a model for the default model_fn, and who of several hosts should."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sagelocal_mxnet.models import PARAMETERS_FILE, SHAPES_FILE, SYMBOL_FILE


def scheduler_host(hosts: Sequence[str]) -> str:
    """The host that runs the scheduler, the first one."""
    return hosts[0]


def save(
    model_dir: str,
    model: Any,
    current_host: str | None = None,
    hosts: Sequence[str] | None = None,
) -> None:
    """Write a Module as the three files that the image serves without a script.

    Only the first host writes; who is who the job says, unless it is given.
    """
    current_host = current_host or os.environ["SM_CURRENT_HOST"]
    hosts = hosts or json.loads(os.environ["SM_HOSTS"])
    if current_host != scheduler_host(hosts):
        return
    folder = Path(model_dir)
    model.symbol.save(str(folder / SYMBOL_FILE))
    model.save_params(str(folder / PARAMETERS_FILE))
    shapes = [{"name": each.name, "shape": list(each.shape)} for each in model.data_shapes]
    (folder / SHAPES_FILE).write_text(json.dumps(shapes), encoding="utf-8")

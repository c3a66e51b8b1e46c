"""The clients' Python, started once for all the programs that tests run with it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
SDK_2 = (
    "sagemaker",
    "sagemaker.async_inference",
    "sagemaker.huggingface",
    "sagemaker.local",
    "sagemaker.multidatamodel",
    "sagemaker.mxnet",
    "sagemaker.pytorch",
    "sagemaker.sklearn",
    "sagemaker.tensorflow",
    "sagemaker.xgboost",
    "sklearn.datasets",
)
SDK_3 = (
    "sagemaker.core.resources",
    "sagemaker.serve.model_builder",
    "sagemaker.train.model_trainer",
)


@contextlib.contextmanager
def warm(
    python: Path, folder: Path, environment: Mapping[str, str], modules: Sequence[str] = SDK_2
) -> Iterator[Path]:
    """An executable to use in the place of `python`: its programs need not import `modules`.

    The interpreter behind it has `environment` besides this process's while it imports; `folder`
    is the context's own.
    """
    listening, log = folder / "socket", folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [python, "-W", "ignore", HERE / "forking.py", listening, *modules],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert "ready\n" in process.stdout, log.read_text()
        program = folder / "python"
        asking = shlex.join([sys.executable, "-IS", str(HERE / "asking.py"), str(listening)])
        program.write_text(f'#!/bin/sh\nexec {asking} "$@"\n')
        program.chmod(0o755)
        yield program
    finally:
        process.kill()
        process.communicate()

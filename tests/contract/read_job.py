"""Print the SM_* variables that a training container gets for the job at SAGEMAKER_BASE_DIR.

`--write` reads all golden cases and rewrites their expected.json instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sagelocal_train import Environment

MACHINE = ("num_cpus", "num_gpus", "num_neurons")
HERE = Path(__file__).parent


def job_variables() -> dict[str, Any]:
    """The variables, masked: the machine's own figures and the base folder differ everywhere."""
    variables: dict[str, Any] = Environment.read().to_env_vars()
    summary = json.loads(variables["SM_TRAINING_ENV"])
    for name in MACHINE:
        assert variables[f"SM_{name.upper()}"] == str(summary[name])
        variables[f"SM_{name.upper()}"] = summary[name] = "N"
    text = json.dumps(variables | {"SM_TRAINING_ENV": summary}, sort_keys=True)
    masked: dict[str, Any] = json.loads(text.replace(os.environ["SAGEMAKER_BASE_DIR"], "/opt/ml"))
    return masked


def lay_out(files: dict[str, Any], base: Path) -> None:
    """Write the files of a case below `base`."""
    for relative, document in files.items():
        path = base / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")


def read_in_own_process(case: dict[str, Any], base: Path) -> dict[str, Any]:
    """Lay the case's files out at `base` and read them as a container would: by environment."""
    lay_out(case["files"], base)
    own = {"SAGEMAKER_BASE_DIR": str(base), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, __file__],
        env=own | case["environment"],
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def rewrite_expectations() -> None:
    """Read every golden case and write what was read beside it."""
    for path in sorted(HERE.glob("*/*/case.json")):
        with tempfile.TemporaryDirectory() as base:
            read = read_in_own_process(json.loads(path.read_text(encoding="utf-8")), Path(base))
        text = json.dumps(read, indent=2, sort_keys=True, ensure_ascii=False)
        path.with_name("expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        rewrite_expectations()
    else:
        print(json.dumps(job_variables()))

"""The README's example runs, and its table names every module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import sagelocal_formats

ROOM = Path(__file__).parents[2] / "containers" / "formats"
README = (ROOM / "README.md").read_text()
# What several formats share.
SHARED = {"__init__", "errors", "rows", "text_lines"}


def test_the_example_runs() -> None:
    found = re.search(r"```python\n(.*?)```", README, re.S)
    assert found
    done = subprocess.run([sys.executable, "-c", found[1]], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "[0. 1. 0.] [0. 1. 2.]\n3\n"


def test_every_module_is_in_the_table_and_formats_are_in_the_docstring() -> None:
    modules = {path.stem for path in (ROOM / "sagelocal_formats").glob("*.py")} - SHARED
    assert modules == {name for name in modules if f"`{name}`" in README}
    named = set(re.findall(r"^    (\w+)", sagelocal_formats.__doc__ or "", re.M))
    assert named <= modules

"""Compiles a family's C into its wheel; where there is no C compiler the wheel is all Python.

    [tool.hatch.build.targets.wheel.hooks.custom]
    path = "../first_party/hatch_compile.py"
    source = "sagelocal_random_cut_forest/walk.c"      # becomes walk.so beside it

CC names the compiler (default `cc`). The library is linked to the C library alone: it knows neither
Python nor numpy, so it needs no header of theirs. `sagelocal_first_party.compiled` loads it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_OPTIONS = ("-O3", "-fopenmp-simd", "-fPIC", "-shared")


class Compiled(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """The build's hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        source = Path(self.config["source"])
        library = Path(self._folder.name) / source.with_suffix(".so").name
        compiler = shlex.split(os.environ.get("CC", "cc"))
        command = [*compiler, *_OPTIONS, "-o", str(library), str(Path(self.root) / source), "-lm"]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"{source.name} is not compiled, numpy does it later: {error}")
            return
        build_data["force_include"][str(library)] = str(source.with_suffix(".so"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()

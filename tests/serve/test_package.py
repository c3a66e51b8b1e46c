"""What the package promises to others, and what it does not drag in."""

from __future__ import annotations

import subprocess
import sys

import sagelocal_serve

WITHOUT_NUMPY = """
import sys

class NoNumpy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "sagelocal_formats"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoNumpy())
import sagelocal_serve, sagelocal_serve.cli, sagelocal_serve.script
print(sorted(name for name in sys.modules if name.startswith("sagelocal_serve.codecs.")))
"""


def test_surface_is_what_is_listed() -> None:
    assert sagelocal_serve.__all__ == [
        "Accept",
        "Algorithm",
        "AlgorithmHandler",
        "BadRequest",
        "ExecutionParameters",
        "Handler",
        "MediaType",
        "ModelError",
        "NotAcceptable",
        "PayloadTooLarge",
        "Request",
        "Response",
        "ServeError",
        "Settings",
        "Unavailable",
        "UnsupportedMediaType",
        "create_app",
    ]


def test_server_and_script_mode_work_without_numpy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_server_imports_no_numpy_of_its_own_accord() -> None:
    check = "import sys, sagelocal_serve.cli; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

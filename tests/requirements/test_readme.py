"""The README names every module, and the folder that both sides of the mount mean."""

from __future__ import annotations

from pathlib import Path

from sagelocal.engine.packages import TARGET
from sagelocal_requirements import SHELF

ROOM = Path(__file__).parents[2] / "containers/requirements"
README = (ROOM / "README.md").read_text(encoding="utf-8")


def test_every_module_is_in_the_table() -> None:
    modules = {path.stem for path in (ROOM / "sagelocal_requirements").glob("[a-z]*.py")}
    assert modules == {name for name in modules if f"| `{name}` |" in README}


def test_the_plane_mounts_the_folder_that_the_toolkits_look_for() -> None:
    assert f"/opt/ml/{SHELF}" == TARGET
    assert f"{TARGET}/KEY/" in README

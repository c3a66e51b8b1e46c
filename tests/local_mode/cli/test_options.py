"""The flags of `sagelocal up` and the README's table of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sagelocal.settings import Settings

README = (Path(__file__).parents[3] / "local_mode" / "README.md").read_text()


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_the_readme_tells_each_setting(field: dataclasses.Field[object]) -> None:
    flag = "--data" if field.name == "data_dir" else f"--{field.name.replace('_', '-')}"
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{flag}` |"))

    assert row.endswith(f" | {field.metadata['help']} |")
    if field.default not in (dataclasses.MISSING, None):
        assert f"| `{field.default}` |" in row

"""Requests of real boto3 clients, byte for byte, and what is read out of them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
RECORDER = runpy.run_path(str(GOLDEN / "regenerate.py"))


@pytest.mark.parametrize("name", sorted(RECORDER["CALLS"]))
def test_a_recorded_request_is_read_as_it_was_meant(name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    assert expected == RECORDER["understood"]((GOLDEN / f"{name}.http").read_bytes())

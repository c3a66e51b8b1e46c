"""The README's example, served and called as it says."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "serve" / "README.md"


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.S)
    assert found
    return found[1]


def _calls() -> list[tuple[str, str]]:
    """Every curl command of the session with the line it prints."""
    lines = _block("console").splitlines()
    return [
        (line[2:], answer)
        for line, answer in itertools.pairwise(lines)
        if line.startswith("$ curl")
    ]


@pytest.mark.parametrize(("command", "expected"), _calls())
def test_session_prints_what_it_says(
    command: str, expected: str, start_server: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "doubling.py").write_text(_block("python"))
    server = start_server(SAGEMAKER_SERVING_MODULE="doubling:app", PYTHONPATH="").wait_until_ready()
    words = shlex.split(command)
    body = words[words.index("-d") + 1]
    content_type = words[words.index("-H") + 1].removeprefix("Content-Type: ")
    assert server.invoke(body.encode(), content_type).body.decode() == expected + "\n"

"""What others may use, and that the README's family trains and serves."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sagelocal_first_party
from sagelocal_formats.record_protobuf import encode_rows
from sagelocal_serve import MediaType, Request

README = Path(__file__).parents[3] / "containers" / "first_party" / "README.md"


def test_the_readme_describes_all_that_is_exported() -> None:
    text = README.read_text()
    assert [name for name in sagelocal_first_party.__all__ if f"`{name}`" not in text] == []


@pytest.fixture
def example() -> Iterator[dict[str, Any]]:
    """The names that the README's example defines."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, str(README), "exec", dont_inherit=True), names)
    before = logging.root.handlers[:], logging.root.level
    yield names
    logging.root.handlers[:], level = before
    logging.root.setLevel(level)


def test_the_readmes_family_trains_and_serves(
    example: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text('{"feature_dim": "2"}')
    (config / "inputdataconfig.json").write_text('{"train": {}, "test": {}}')
    for channel in ("train", "test"):
        folder = tmp_path / "input" / "data" / channel
        folder.mkdir(parents=True)
        rows = np.array([[1, 2], [3, 6]], np.float32)
        (folder / "rows.pbr").write_bytes(encode_rows({"values": rows}))
    example["main"]()
    assert "#quality_metric: host=algo-1, test distance <loss>=3.0" in capsys.readouterr().out
    handler = example["app"]()
    handler.load(tmp_path / "model")
    answer = handler.handle(Request(b"2,5", MediaType.parse("text/csv")))
    assert json.loads(answer.body) == {"predictions": [{"distance": 1.0}]}

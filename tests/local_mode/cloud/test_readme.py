"""The README's job.toml and price list are ones that the command takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sagelocal.cloud import spec as spec_module
from sagelocal.cloud.prices import load_prices
from sagelocal.cloud.spec import TrainingSpec, load_spec

README = (Path(__file__).parents[3] / "local_mode" / "README.md").read_text()


def block(language: str) -> str:
    """The only block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_job_can_be_launched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1\n")
    (tmp_path / "job.toml").write_text(block("toml"))

    spec = load_spec(tmp_path / "job.toml")

    assert isinstance(spec, TrainingSpec)
    assert [channel.name for channel in spec.channels] == ["train", "validation"]


def test_the_price_list_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(block("csv"))

    assert [price.region for price in load_prices(tmp_path / "prices.csv")] == ["", "eu-central-1"]


KEYS = set(
    re.findall(
        r'(?:text|number|flag|strings|table|_s3|_source)\((?:\w+, )?"(\w+)"',
        Path(spec_module.__file__).read_text(),
    )
)


@pytest.mark.parametrize("key", sorted(KEYS - {"kind"}))
def test_every_key_is_mentioned(key: str) -> None:
    assert len(KEYS) > 30
    section = README.partition("## Launching jobs")[2].partition("\n## ")[0]
    assert f"`{key}" in section

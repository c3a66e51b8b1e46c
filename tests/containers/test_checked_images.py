"""Our own images keep every rule of `sagelocal check`, tried with what their image.toml says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sagelocal.runtime.images import PYTHON, ImageCatalog

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
FAMILIES = [each for each in ImageCatalog.load().families if each.base != PYTHON]
# Rules that need what some images have not: a user of their own, many models, more than one
# channel, a run that is long enough to tell.
NEEDLESS = {"non-root", "multi-model", "optional-channels", "logs-unbuffered", "train-sigterm"}


@pytest.mark.parametrize("family", [each.family for each in FAMILIES])
def test_an_image_keeps_every_rule(family: str) -> None:
    done = subprocess.run(
        [SAGELOCAL, "check", family, "--output", "json"], capture_output=True, text=True
    )

    assert done.stdout, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert [each for each in findings if each["outcome"] == "broken"] == []
    untried = {each["rule"] for each in findings if each["outcome"] == "skipped"}
    assert untried <= NEEDLESS
    assert done.returncode == 0

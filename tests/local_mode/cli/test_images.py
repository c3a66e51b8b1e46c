"""`sagelocal images` and `sagelocal build`: what there is, and what is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAGELOCAL = Path(sys.executable).with_name("sagelocal")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SAGELOCAL, *arguments], capture_output=True, text=True)


def test_images_lists_every_family_with_its_tag_and_names() -> None:
    done = run("images")

    assert done.returncode == 0, done.stderr
    for words in ("base", "sagelocal/linear-learner:1", "answers to linear-learner"):
        assert words in done.stdout


def test_building_an_unknown_family_names_the_known_ones() -> None:
    done = run("build", "no-such-family")

    assert done.returncode == 1
    assert "no-such-family" in done.stderr
    assert "linear-learner" in done.stderr


def test_a_folder_without_families_is_said(tmp_path: Path) -> None:
    done = run("images", "--containers-dir", tmp_path / "nowhere")

    assert done.returncode == 1
    assert "nowhere" in done.stderr

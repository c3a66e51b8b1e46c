"""The folder of packages that containers share: who may write there, and what is deleted when."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path

import pytest
from sagelocal.engine.packages import packages_mounts, sweep_packages

NOW = 1_700_000_000.0
DAY = 86_400


def kept(packages: Path, name: str, days: float) -> Path:
    """Packages that were used so many days ago."""
    folder = packages / name
    folder.mkdir(parents=True)
    (folder / "wanted.py").touch()
    os.utime(folder, (NOW - days * DAY,) * 2)
    return folder


def test_any_user_of_an_image_may_write_there(tmp_path: Path) -> None:
    (mount,) = packages_mounts(tmp_path)

    assert mount.target == "/opt/ml/.packages"
    assert not mount.read_only
    assert stat.S_IMODE(mount.source.stat().st_mode) == 0o777


def test_a_container_without_a_network_installs_nothing_as_in_the_cloud(tmp_path: Path) -> None:
    assert packages_mounts(tmp_path, network_isolation=True) == ()


def test_what_was_not_used_for_two_weeks_goes(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "old", 15), kept(tmp_path, "new", 13)
    cut_off, going_on = kept(tmp_path, ".new-a", 2), kept(tmp_path, ".new-b", 0.5)

    sweep_packages(tmp_path, NOW)

    assert [path.exists() for path in (old, new, cut_off, going_on)] == [False, True, False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new-b", "new"]


def test_what_a_container_uses_now_stays(tmp_path: Path) -> None:
    old = kept(tmp_path, "old", 15)
    descriptor = os.open(old, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        sweep_packages(tmp_path, NOW)
        assert (old / "wanted.py").exists()
    finally:
        os.close(descriptor)
    sweep_packages(tmp_path, NOW)
    assert not old.exists()


def test_what_could_not_be_deleted_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "rmtree", lambda *_, **__: None
    )  # as of files of a container's root
    for _ in range(2):
        kept(tmp_path, "old", 15)
        sweep_packages(tmp_path, NOW)
    left = sorted(tmp_path.iterdir())
    assert [path.name.startswith(".new-") for path in left] == [True, True]

    for path in left:
        os.utime(path, (NOW - 2 * DAY,) * 2)
    sweep_packages(tmp_path, NOW)
    assert sorted(tmp_path.iterdir()) == left


def test_without_the_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    sweep_packages(tmp_path, NOW)

    assert list(tmp_path.iterdir()) == []

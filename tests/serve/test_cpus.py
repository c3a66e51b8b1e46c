"""The number of CPUs under a cgroup's quota, for both versions of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sagelocal_serve.cpus import usable_cpus

ALL = len(os.sched_getaffinity(0))


def _cgroup(folder: Path, **files: str) -> Path:
    (folder / "cpu").mkdir()
    for name, content in files.items():
        (folder / name.replace("__", "/").replace("_dot_", ".")).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000\n", ALL), ("50000 100000\n", 1), ("100000 100000\n", 1), ("garbage", ALL)],
)
def test_quota_of_version_2_counts(quota: str, cpus: int, tmp_path: Path) -> None:
    assert usable_cpus(_cgroup(tmp_path, cpu_dot_max=quota)) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", ALL), ("20000\n", 1)])
def test_quota_of_version_1_counts(quota: str, cpus: int, tmp_path: Path) -> None:
    files = {"cpu__cpu_dot_cfs_quota_us": quota, "cpu__cpu_dot_cfs_period_us": "100000\n"}
    assert usable_cpus(_cgroup(tmp_path, **files)) == cpus


def test_large_quota_gives_no_more_than_the_affinity_allows(tmp_path: Path) -> None:
    assert usable_cpus(_cgroup(tmp_path, cpu_dot_max="99900000 100000")) == ALL


def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == ALL

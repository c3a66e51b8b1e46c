"""The AWS CLI, unmodified: make a bucket, copy, list, sync, remove."""

from __future__ import annotations

import os
import subprocess
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow]

MEBIBYTE = 1024**2
Run = Callable[..., str]


@pytest.fixture
def cli(server: Any, clients_python: Path, tmp_path: Path) -> Run:
    """`cli("s3", "ls")` runs the command in an empty folder and gives what it prints."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [clients_python, "-m", "awscli", *arguments],
            env=server.environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_chapter_of_a_notebook(cli: Run, tmp_path: Path) -> None:
    bucket = f"s3://chapter-{uuid.uuid4().hex[:8]}"
    assert f"make_bucket: {bucket[5:]}" == cli("s3", "mb", bucket).strip()
    assert bucket[5:] in cli("s3", "ls")
    data = tmp_path / "data"
    (data / "deep" / "er").mkdir(parents=True)
    (data / "train.csv").write_text("1,2\n")
    (data / "deep" / "a b+ü.csv").write_text("3,4\n")
    (data / "deep" / "er" / "empty").write_bytes(b"")

    cli("s3", "cp", "data/train.csv", f"{bucket}/one/train.csv")
    assert "train.csv" in cli("s3", "ls", f"{bucket}/one/")
    assert "1,2" in cli("s3", "cp", f"{bucket}/one/train.csv", "-")

    assert cli("s3", "sync", "data", f"{bucket}/all").count("upload:") == 3
    assert cli("s3", "sync", "data", f"{bucket}/all") == ""
    listed = [line[31:] for line in cli("s3", "ls", "--recursive", bucket).splitlines()]
    assert listed == [
        "all/deep/a b+ü.csv",
        "all/deep/er/empty",
        "all/train.csv",
        "one/train.csv",
    ]
    assert "PRE deep/" in cli("s3", "ls", f"{bucket}/all/")

    assert cli("s3", "sync", f"{bucket}/all", "back").count("download:") == 3
    assert (tmp_path / "back" / "deep" / "a b+ü.csv").read_text() == "3,4\n"
    (data / "train.csv").unlink()
    assert "delete:" in cli("s3", "sync", "--delete", "data", f"{bucket}/all")

    cli("s3", "mv", f"{bucket}/one/train.csv", f"{bucket}/two/train.csv")
    url = cli("s3", "presign", f"{bucket}/two/train.csv").strip()
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"1,2\n"

    assert "delete:" in cli("s3", "rm", f"{bucket}/two/train.csv")
    assert cli("s3", "rm", "--recursive", f"{bucket}/all").count("delete:") == 2
    assert cli("s3", "ls", "--recursive", bucket) == ""
    cli("s3", "cp", "data/deep/er/empty", f"{bucket}/left")
    assert "remove_bucket" in cli("s3", "rb", "--force", bucket)
    assert bucket[5:] not in cli("s3", "ls")


def test_large_files_go_up_and_down_in_parts(server: Any, cli: Run, tmp_path: Path) -> None:
    bucket = f"s3://large-{uuid.uuid4().hex[:8]}"
    cli("s3", "mb", bucket)
    (tmp_path / "big").write_bytes(os.urandom(MEBIBYTE) * 200)
    cli("s3", "cp", "--no-progress", "big", f"{bucket}/big")
    cli("s3", "cp", "--no-progress", f"{bucket}/big", "again")
    same = subprocess.run(["cmp", "big", "again"], cwd=tmp_path, check=False)
    assert same.returncode == 0
    head = server.client().head_object(Bucket=bucket[5:], Key="big")
    assert (head["ContentLength"], head["ETag"].endswith('-25"')) == (200 * MEBIBYTE, True)
    cli("s3", "rb", "--force", bucket)

"""Folders that a container may change, or only read, and that stay as they are; and its pipes."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from sagelocal.runtime.interface import Mount
from sagelocal.runtime.overlays import overlays_work

WRITE = """
import os, pathlib
folder = pathlib.Path("/opt/ml/input/data/train")
print((folder / "a").read_text())
try:
    (folder / "a").write_text("changed")
    (folder / "new").write_text("new")
    os.unlink(folder / "deep/b")
except OSError as error:
    print(error.strerror)
print((folder / "a").read_text(), sorted(os.listdir(folder)), os.listdir(folder / "deep"))
"""


def objects(folder: Path) -> Path:
    """A folder of hard links to files that must not change."""
    for name in ("a", "deep/b"):
        original = folder / "objects" / name
        link = folder / "links" / name
        for path in (original, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        original.write_text(name)
        original.chmod(0o444)
        os.link(original, link)
    return folder / "links"


def originals(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder / "objects").as_posix(): path.read_text()
        for path in (folder / "objects").rglob("*")
        if path.is_file()
    }


def mounts(folder: Path, source: Path, **options: Any) -> tuple[Mount, ...]:
    """As a training job has them: a channel's folder over a writable /opt/ml/input."""
    (folder / "input/data/train").mkdir(parents=True)
    over = Mount(source, "/opt/ml/input/data/train", **options)
    return (Mount(folder / "input", "/opt/ml/input"), over)


def test_what_a_container_changes_goes_to_the_scratch_folder(place: Any) -> None:
    folder, scratch = place.folder, place.folder / "scratch"
    assert place.runtime.can_overlay(folder)
    ended, lines = place.run(
        *("python", "-c", WRITE), mounts=mounts(folder, objects(folder), scratch=scratch)
    )
    assert (ended.code, lines) == (0, ["a", "changed ['a', 'deep', 'new'] []"])
    assert originals(folder) == {"a": "a", "deep/b": "deep/b"}
    assert (scratch / "upper/a").read_text() == "changed"
    assert (folder / "links/a").stat().st_ino == (folder / "objects/a").stat().st_ino


def test_a_read_only_folder_of_links_is_refused_to_be_changed(place: Any) -> None:
    folder = place.folder
    ended, lines = place.run(
        *("python", "-c", WRITE), mounts=mounts(folder, objects(folder), read_only=True)
    )
    assert ended.code == 0
    assert lines == ["a", "Read-only file system", "a ['a', 'deep'] ['b']"]
    assert originals(folder) == {"a": "a", "deep/b": "deep/b"}


def test_a_pipe_leads_from_this_machine_into_the_container(place: Any) -> None:
    source = place.mount("/opt/ml/input").source
    os.mkfifo(source / "pipe")
    writer = threading.Thread(target=(source / "pipe").write_bytes, args=(b"x" * 300_000,))
    writer.start()
    read = "print(len(open('/opt/ml/input/pipe', 'rb').read()))"
    ended, lines = place.run("python", "-c", read, mounts=(Mount(source, "/opt/ml/input"),))
    writer.join()
    assert (ended.code, lines) == (0, ["300000"])


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    assert isinstance(overlays_work(tmp_path / "not/there"), bool)
    assert not os.listdir(tmp_path)

"""Archives of what a job leaves."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from sagelocal.engine.artifacts import entries, write_archive


def archive(*folders: Path) -> bytes:
    target = io.BytesIO()
    write_archive(target, entries(folders))
    return target.getvalue()


def tree(folder: Path) -> Path:
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/file").write_bytes(b"x" * 100_000)
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("run.sh")
    (folder / "broken").symlink_to("/nowhere")
    (folder / "empty").mkdir()
    os.link(folder / "run.sh", folder / "same")
    os.mkfifo(folder / "pipe")
    return folder


def test_keeps_paths_permissions_and_links(tmp_path: Path) -> None:
    data = archive(tree(tmp_path / "model"))
    out = tmp_path / "out"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(out)
        assert all((m.uid, m.gid, m.uname) == (0, 0, "") for m in tar.getmembers())
    assert (out / "deep/er/file").read_bytes() == b"x" * 100_000
    assert os.stat(out / "run.sh").st_mode & 0o777 == 0o755
    assert os.readlink(out / "link") == "run.sh"
    assert os.readlink(out / "broken") == "/nowhere"
    assert (out / "same").read_text() == "#!/bin/sh"
    assert (out / "empty").is_dir()
    assert not (out / "pipe").exists()


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    folder = tree(tmp_path / "model")
    assert archive(folder) == archive(folder)


def test_the_first_host_wins_where_two_have_one_path(tmp_path: Path) -> None:
    for host in ("algo-1", "algo-2"):
        (tmp_path / host).mkdir()
        (tmp_path / host / "common").write_text(host)
        (tmp_path / host / host).write_text(host)
    with tarfile.open(fileobj=io.BytesIO(archive(tmp_path / "algo-1", tmp_path / "algo-2"))) as tar:
        content = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    assert content == {"algo-1": b"algo-1", "algo-2": b"algo-2", "common": b"algo-1"}

"""Source archives: unpacked as they were packed, and never outside of the code folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from sagelocal_train import source
from sagelocal_train.errors import ScriptError


def _archive(folder: Path, *members: tarfile.TarInfo) -> str:
    path = folder / "sourcedir.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            content = b"x" * member.size
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return str(path)


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, mode
    member.size = 3 if kind == tarfile.REGTYPE else 0
    member.uid = member.gid = 12345
    return member


def test_files_folders_links_and_permissions_come_as_they_were_packed(tmp_path: Path) -> None:
    archive = _archive(
        tmp_path,
        _member("train.sh", mode=0o755),
        _member("lib", tarfile.DIRTYPE, mode=0o700),
        _member("lib/utils.py", mode=0o400),
        _member("lib/alias.py", tarfile.SYMTYPE, "utils.py"),
        _member("again.py", tarfile.LNKTYPE, "lib/utils.py", mode=0o400),
    )
    code = tmp_path / "code"

    source.bring(archive, code, {})

    assert (code / "train.sh").stat().st_mode & 0o777 == 0o755
    assert (code / "lib" / "utils.py").stat().st_mode & 0o777 == 0o600
    assert (code / "lib" / "alias.py").read_text() == "xxx"
    assert (code / "again.py").read_text() == "xxx"


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside.py"),
        _member("/tmp/sagelocal-outside.py"),
        _member("a/../../outside.py"),
        _member("link", tarfile.SYMTYPE, "../outside"),
        _member("link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("link", tarfile.LNKTYPE, "../outside"),
        _member("pipe", tarfile.FIFOTYPE),
        _member("disk", tarfile.BLKTYPE),
    ],
    ids=lambda member: f"{member.name} {member.linkname}",
)
def test_an_archive_that_would_write_elsewhere_is_refused(
    member: tarfile.TarInfo, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("untouched")
    archive = _archive(tmp_path, member)

    with pytest.raises(ScriptError, match="is not a usable source archive"):
        source.bring(archive, tmp_path / "code", {})

    assert not (tmp_path / "outside.py").exists()
    assert (tmp_path / "outside").read_text() == "untouched"


def test_a_link_and_then_a_file_through_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    archive = _archive(
        tmp_path,
        _member("here", tarfile.SYMTYPE, "."),
        _member("here/fine.py"),
        _member("here/../../outside.py"),
    )

    with pytest.raises(ScriptError, match=r"outside\.py"):
        source.bring(archive, tmp_path / "code", {})

    assert not (tmp_path / "outside.py").exists()

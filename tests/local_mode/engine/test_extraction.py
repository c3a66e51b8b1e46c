"""Archives: what is in them arrives, and nothing arrives elsewhere."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.engine.extraction import BadArchive, extract

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> Member:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    return member, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def archive(*members: Member) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return packed


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))


@given(files=st.dictionaries(NAMES.map(lambda name: f"d/{name}"), st.binary(max_size=2000)))
def test_every_file_arrives_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("extracted")
    extract(archive(*(file(name, content) for name, content in files.items())), folder)
    assert contents(folder) == files


def test_what_tar_itself_makes_is_extracted(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "code").mkdir(parents=True)
    (source / "code" / "run.sh").write_text("#!/bin/sh\n")
    (source / "code" / "run.sh").chmod(0o700)
    os.link(source / "code" / "run.sh", source / "same.sh")
    packed = tmp_path / "model.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(source, arcname=".")
    with packed.open("rb") as stream:
        extract(stream, folder)
    assert set(contents(folder)) == {"code/run.sh", "same.sh"}
    assert os.access(folder / "code" / "run.sh", os.X_OK)


def test_a_later_member_of_the_same_name_wins(folder: Path) -> None:
    extract(archive(file("a", b"old"), file("a", b"new")), folder)
    assert contents(folder) == {"a": b"new"}


def test_set_user_id_and_write_bits_are_not_kept(folder: Path) -> None:
    extract(archive(file("a", mode=0o6777), file("b", mode=0o000)), folder)
    assert (folder / "a").stat().st_mode & 0o7777 == 0o755
    assert (folder / "b").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([file("../evil")], "points outside the archive to '../evil'"),
        ([file("a/../../evil")], "points outside"),
        ([file("/evil")], "points outside the archive to '/evil'"),
        ([special("link", tarfile.SYMTYPE, "..")], "is a symbolic link to '..'; replace links"),
        ([special("link", tarfile.SYMTYPE, "a"), file("a")], "is a symbolic link"),
        ([special("link", tarfile.LNKTYPE, "../evil")], "points outside the archive"),
        ([special("link", tarfile.LNKTYPE, "/etc/passwd")], "points outside the archive"),
        ([special("link", tarfile.LNKTYPE, "absent")], "which is not a file before it"),
        ([special("pipe", tarfile.FIFOTYPE)], "is neither a file nor a folder"),
        ([special("device", tarfile.CHRTYPE)], "is neither a file nor a folder"),
        ([file("a"), file("a/b")], "a file in one place and a folder in another"),
        ([file("a/b"), file("a")], "a file in one place and a folder in another"),
        ([file("x" * 300)], "cannot be written: File name too long"),
    ],
)
def test_what_does_not_belong_into_a_model_is_refused(
    folder: Path, tmp_path: Path, members: Sequence[Member], words: str
) -> None:
    (tmp_path / "evil").write_text("untouched")
    with pytest.raises(BadArchive, match=words.replace(".", r"\.")):
        extract(archive(*members), folder)
    assert (tmp_path / "evil").read_text() == "untouched"
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"no archive",
        lambda data: data[: len(data) // 2],
        lambda data: gzip.decompress(data),
        lambda data: gzip.compress(b"no tar" * 500),
        lambda data: data[:-200] + bytes(200),
    ],
    ids=["empty", "text", "cut", "not compressed", "not tar", "overwritten"],
)
def test_what_is_no_tar_gz_is_refused(folder: Path, spoil: Callable[[bytes], bytes]) -> None:
    whole = archive(file("a", os.urandom(20_000))).getvalue()
    with pytest.raises(BadArchive):
        extract(io.BytesIO(spoil(whole)), folder)


@given(st.binary(max_size=300))
def test_any_bytes_are_extracted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("extracted")
    with pytest.raises(BadArchive):
        extract(io.BytesIO(data), folder)

"""The user's source of script mode: brought to the code folder from where the request says it is.

A code folder that holds something already is used as it is: that is how local mode and images with
their source built in provide it. Otherwise `sagemaker_submit_directory` is an archive in S3, a
local folder, a local archive or a single file.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sagelocal_train.errors import ScriptError


def bring(submit_directory: str, code: Path, variables: Mapping[str, str]) -> None:
    """Fill the folder `code`; raises ScriptError when there is no usable source."""
    try:
        code.mkdir(parents=True, exist_ok=True)
        if any(code.iterdir()):
            return
        if submit_directory.startswith("s3://"):
            _bring_from_s3(submit_directory, code, variables)
        else:
            _bring_from_disk(Path(submit_directory.removeprefix("file://")), code)
    except OSError as error:
        raise ScriptError(f"The source cannot be brought to {code}: {error}") from error


def _bring_from_s3(uri: str, code: Path, variables: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="source-") as folder:
        archive = Path(folder) / "sourcedir.tar.gz"
        # HTTP and TLS take a third of this toolkit's start, which a source on disk need not pay.
        s3 = importlib.import_module("sagelocal_train.s3")
        s3.download(uri, archive, variables)
        _extract(archive, code, uri)


def _bring_from_disk(source: Path, code: Path) -> None:
    if source.is_dir():
        if source.resolve() != code.resolve():
            shutil.copytree(source, code, dirs_exist_ok=True)
    elif not source.is_file():
        raise ScriptError(
            f"sagemaker_submit_directory is {str(source)!r}, which is no folder, archive or S3 "
            f"address; put the source there or into {code}"
        )
    elif tarfile.is_tarfile(source):
        _extract(source, code, str(source))
    else:
        shutil.copy2(source, code)


def _extract(archive: Path, code: Path, name: str) -> None:
    """Unpack within `code`; members that would land elsewhere are refused."""
    try:
        with tarfile.open(archive) as tar:
            _extract_all(tar, code.resolve())
    except tarfile.TarError as error:
        raise ScriptError(
            f"{name} is not a usable source archive ({error}): it must be a .tar.gz with the "
            "entry point at its top"
        ) from error


def _extract_all(tar: tarfile.TarFile, code: Path) -> None:
    """By hand: Python before 3.11.4, which Debian 12 has, knows no extraction filters."""
    tar.extraction_filter = lambda member, path: member
    for member in tar:
        _require_inside(member, code)
        member.mode = 0o755 if member.isdir() else (member.mode | 0o600) & 0o755
        member.uid, member.gid = os.geteuid(), os.getegid()
        member.uname = member.gname = ""
        tar.extract(member, code)


def _require_inside(member: tarfile.TarInfo, code: Path) -> None:
    """Raises TarError for what is no file, folder or link within the folder `code`."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise tarfile.TarError(f"{member.name!r} is a device or a pipe")
    places = [code / member.name]
    if member.issym():
        places.append((code / member.name).parent / member.linkname)
    elif member.islnk():
        places.append(code / member.linkname)
    if not all(place.resolve().is_relative_to(code) for place in places):
        raise tarfile.TarError(f"{member.name!r} would be written or lead outside of its folder")

"""A new folder with the files of an export and, where they belong to it, those of the model."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sagelocal.account import Account, NotThere
from sagelocal.cloud.downloading import download, download_prefix, keys, unpack
from sagelocal.domain.names import S3Uri
from sagelocal.engine.extraction import BadArchive, extract
from sagelocal.engine.model_shelf import ModelShelf
from sagelocal.export.description import ExportError, Files, Service
from sagelocal.export.files import Texts
from sagelocal.export.guide import guide
from sagelocal.export.targets import Target

GUIDE = "README.md"


def check_folder(folder: Path) -> None:
    """Raises ExportError if there is something that an export would replace."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ExportError(f"{folder} is no folder; name another one with --output")
    if folder.is_dir() and any(folder.iterdir()):
        raise ExportError(
            f"{folder} holds files already, and an export replaces none; name another folder with "
            "--output, or remove it"
        )


def write(account: Account, service: Service, target: Target, folder: Path) -> Texts:
    """Make the folder, whole or not at all; the texts that are in it.

    Raises ExportError, CloudError.
    """
    check_folder(folder)
    texts = dict(target.files(service))
    brought = account.is_here and not target.brings_model and bool(service.files)
    texts[GUIDE] = guide(service, target, texts, brought=brought)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        for files in service.files:
            if target.brings_model and files.is_shelf:
                _shelved(account, files, unfinished)
                _let_all_read(unfinished / files.folder)
            elif target.brings_model:
                _unpacked(account, files, unfinished)
                _let_all_read(unfinished / files.folder)
            elif brought:
                _as_it_is(account, files, unfinished)
        for name, text in texts.items():
            _private(unfinished / name, text)
        unfinished.rename(folder)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return texts


def _unpacked(account: Account, files: Files, folder: Path) -> None:
    if files.data.layout != "archive":
        _as_it_is(account, files, folder)
        return
    try:
        unpack(account, files.data.location, folder / files.folder)
    except NotThere as error:
        raise _gone(files) from error


def _shelved(account: Account, files: Files, folder: Path) -> None:
    """Each archive in the folder where the container is told to find it; what is none fails in
    SageMaker only when it is called, and is left out.
    """
    prefix = S3Uri(files.data.location.bucket, files.data.prefix)
    shelf = folder / files.folder
    shelf.mkdir()
    for key in keys(account, prefix):
        place = shelf / ModelShelf.name(key.removeprefix(prefix.key)) / "model"
        with tempfile.TemporaryDirectory(prefix="sagelocal-") as temporary:
            archive = Path(temporary, "archive.tar.gz")
            download(account, S3Uri(prefix.bucket, key), archive)
            place.mkdir(parents=True)
            try:
                with archive.open("rb") as file:
                    extract(file, place)
            except BadArchive:
                shutil.rmtree(place.parent)
    if not any(shelf.iterdir()):
        raise ExportError(f"there is no archive of a model below {prefix}")


def _as_it_is(account: Account, files: Files, folder: Path) -> None:
    location, to = files.data.location, folder / files.here
    try:
        if files.data.layout == "prefix":
            download_prefix(account, S3Uri(location.bucket, files.data.prefix), to)
        else:
            download(account, location, to)
    except NotThere as error:
        raise _gone(files) from error


def _let_all_read(folder: Path) -> None:
    """Whoever runs the container: an archive may have been packed for its owner only."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _gone(files: Files) -> ExportError:
    return ExportError(f"the model {files.data.url} is not there any more")


def _private(path: Path, text: str) -> None:
    """For its owner only: environments hold secrets."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")

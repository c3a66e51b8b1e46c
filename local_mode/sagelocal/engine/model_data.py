"""Model data in S3 as the folder that a container finds at /opt/ml/model.

Every folder is made from scratch, so that what a killed plane left half done never counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from sagelocal.domain.hosting_reasons import download_failure, extraction_failure
from sagelocal.domain.models import MODEL_FOLDER, Container, InvalidModel, ModelData
from sagelocal.engine.extraction import BadArchive, extract
from sagelocal.runtime.interface import Mount
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectInfo, ObjectStore

Check = Callable[[], None]


class ModelDataFault(Exception):
    """Model data that is not there or cannot be laid out; the text is fit for a FailureReason."""


def model_mounts(container: Container, folder: Path) -> tuple[Mount, ...]:
    """Where the folders that `stage` made below `folder` are seen in the container.

    Without model data /opt/ml/model is an empty folder; so it is where there are many models.
    """
    targets = dict.fromkeys((MODEL_FOLDER, *(data.target for data in container.files)))
    return tuple(Mount(_place(folder, target), target, read_only=True) for target in targets)


def stage(objects: ObjectStore, container: Container, folder: Path, check: Check) -> None:
    """Make every folder of `model_mounts`. `check` is called between files and may raise.

    Raises ModelDataFault.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for mount in model_mounts(container, folder):
        mount.source.mkdir(parents=True)
    for data in container.files:
        _stage_one(objects, container, data, _place(folder, data.target), check)


def exists(objects: ObjectStore, data: ModelData) -> bool:
    """Whether there is anything where the model data should be. Raises InvalidModel."""
    uri = data.location
    try:
        if data.layout == "prefix":
            return bool(objects.list(uri.bucket, data.prefix, limit=1).objects)
        return objects.head(uri.bucket, uri.key) is not None
    except NoSuchBucket:
        return False


def takes_models(objects: ObjectStore, data: ModelData) -> bool:
    """Whether there may be models below the prefix of a multi-model container, now or later.

    The documentation's own example deploys such an endpoint first and puts its models there then.
    """
    try:
        objects.bucket(data.location.bucket)
    except NoSuchBucket:
        return False
    return True


def _stage_one(
    objects: ObjectStore, container: Container, data: ModelData, folder: Path, check: Check
) -> None:
    try:
        if data.layout == "archive":
            _extract(objects, data, folder, check)
        else:
            _copy(objects, data, folder, check)
    except (NoSuchBucket, NoSuchKey, InvalidModel) as error:
        raise ModelDataFault(download_failure(container.label, data.url)) from error
    except BadArchive as error:
        raise ModelDataFault(
            f"{extraction_failure(container.label, data.url)} Cause: {error}."
        ) from error
    except OSError as error:
        raise ModelDataFault(
            f'Failed to write the model data of container "{container.label}" from URL '
            f'"{data.url}" to disk: {error.strerror or error}'
        ) from error


def _extract(objects: ObjectStore, data: ModelData, folder: Path, check: Check) -> None:
    uri = data.location
    _, stream = objects.read(uri.bucket, uri.key)
    with stream:
        extract(stream, folder, check)


def _copy(objects: ObjectStore, data: ModelData, folder: Path, check: Check) -> None:
    for info, path in _files(objects, data):
        check()
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.stage(info, target)


def _files(objects: ObjectStore, data: ModelData) -> Sequence[tuple[ObjectInfo, PurePosixPath]]:
    uri = data.location
    if data.layout == "object":
        info = objects.get(uri.bucket, uri.key)
        return [(info, PurePosixPath(PurePosixPath(uri.key).name))]
    found = [
        (info, PurePosixPath(info.key.removeprefix(data.prefix).lstrip("/")))
        for info in objects.list(uri.bucket, data.prefix)
        if not info.key.endswith("/")
    ]
    if not found:
        raise NoSuchKey(uri.bucket, data.prefix)
    for info, path in found:
        if ".." in path.parts:
            raise BadArchive(f"the key {info.key!r} points outside its prefix")
    return found


def _place(folder: Path, target: str) -> Path:
    return folder / PurePosixPath(target).relative_to("/opt/ml")

"""One object as a file of a job: what may be in its way, and objects that change meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sagelocal.engine.sources import InputDataError
from sagelocal.store.objects import NoSuchKey, ObjectInfo, ObjectStore

# Called between objects; may raise.
Check = Callable[[], None]
# `ObjectStore.stage` or `ObjectStore.link`.
Way = Callable[[ObjectInfo, Path], None]


def place(objects: ObjectStore, way: Way, info: ObjectInfo, target: Path) -> None:
    """Put an object's bytes at `target`: those of now, if it was replaced since it was listed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _place_newest(objects, way, info, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputDataError(
            f"s3://{info.bucket}/{info.key} cannot lie beside the other objects of its channel: "
            "a file would have to be a folder too, or two objects have one path"
        ) from error
    except NoSuchKey as error:
        raise InputDataError(
            f"s3://{info.bucket}/{info.key} was deleted while it was downloaded"
        ) from error


def _place_newest(objects: ObjectStore, way: Way, info: ObjectInfo, target: Path) -> None:
    while True:
        try:
            return way(info, target)
        except NoSuchKey:
            # Replaced since it was listed: take what is there now.
            newer = objects.get(info.bucket, info.key)
            if newer.file == info.file:
                raise
            info = newer

"""The archives of a multi-model container that are on disk, unpacked, for it to load.

    <folder>/<name>/model/          what the container finds at /opt/ml/models/<name>/model
    <folder>/<name>/source.json     which object that was

The name is made of what clients call the model, so that any such text is a proper folder. A folder
appears whole, under its name, or not at all. An object that was replaced is fetched again when the
container has to load it the next time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

from sagelocal.domain.hosting_reasons import extraction_failure, target_download_failure
from sagelocal.domain.models import MODELS_FOLDER, Container, ModelData
from sagelocal.engine.extraction import BadArchive, extract
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectStore

_SOURCE = "source.json"
_NAME_DIGITS = 32


class TargetModelFault(Exception):
    """The target model is not there, or is no archive; the text is fit for the client."""


class ModelShelf:
    """The models of one container. Several threads may fetch different models at once."""

    def __init__(
        self, objects: ObjectStore, container: Container, data: ModelData, folder: Path
    ) -> None:
        """`data` is the prefix below which the archives are; `folder` is made if need be."""
        self._objects = objects
        self._container = container
        self._data = data
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def name(target: str) -> str:
        """What the container is told the model is called."""
        return hashlib.sha256(target.encode()).hexdigest()[:_NAME_DIGITS]

    @staticmethod
    def url(target: str) -> str:
        """The model's folder, as the container sees it."""
        return f"{MODELS_FOLDER}/{ModelShelf.name(target)}/model"

    def fetch(self, target: str) -> None:
        """Have the model's files in its folder, as the object is now. Raises TargetModelFault."""
        bucket, key = self._data.location.bucket, self._data.prefix + target.lstrip("/")
        try:
            info, stream = self._objects.read(bucket, key)
        except (NoSuchBucket, NoSuchKey) as error:
            raise TargetModelFault(target_download_failure(bucket, key)) from error
        source = {"target": target, "object": info.file}
        with stream:
            if self._source(target) == source:
                return
            unfinished = self._folder / f".{secrets.token_hex(8)}"
            try:
                (unfinished / "model").mkdir(parents=True)
                extract(stream, unfinished / "model")
                (unfinished / _SOURCE).write_text(json.dumps(source))
                self._put(unfinished, self._folder / self.name(target))
            except BadArchive as error:
                url = f"s3://{bucket}/{key}"
                raise TargetModelFault(
                    f"{extraction_failure(self._container.label, url)} Cause: {error}."
                ) from error
            except OSError as error:
                raise TargetModelFault(
                    f"Failed to write the model data of {target!r} to disk: "
                    f"{error.strerror or error}"
                ) from error
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _source(self, target: str) -> dict[str, str] | None:
        try:
            found: dict[str, str] = json.loads(
                (self._folder / self.name(target) / _SOURCE).read_bytes()
            )
        except (OSError, ValueError):
            return None
        return found

    def _put(self, new: Path, place: Path) -> None:
        """In the place of an older one; whoever has files of that open keeps them."""
        old = self._folder / f".{secrets.token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(place, old)
        os.rename(new, place)
        shutil.rmtree(old, ignore_errors=True)

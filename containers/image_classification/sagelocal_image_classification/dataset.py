"""Channels to datasets: one checked RecordIO file each, with an index, as MXNet reads it.

Whatever a channel holds (records in one or several files or a pipe, images with a list, a pipe of
an augmented manifest) is copied once to a scratch folder, with labels as the network needs them.
What is wrong is said with the file and the record or line; that an image cannot be decoded is
found later, when it is, and `place` says which it was.

One of several hosts looks at every image that it has of a channel, and keeps its share of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError, image_records, recordio
from sagelocal_formats.image_records import ImageRecord
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

from sagelocal_image_classification import labels, pictures
from sagelocal_image_classification.channels import holds_images, label_format, list_channel
from sagelocal_image_classification.hyperparameters import Settings
from sagelocal_image_classification.labels import Labels, WrongLabel
from sagelocal_image_classification.pictures import NoPicture
from sagelocal_image_classification.together import Share

log = logging.getLogger("sagelocal_image_classification")

_ATTRIBUTES = 'Set AttributeNames to ["source-ref", "class"], in this order'
_SUFFIX = ".rec"
_LIST_SUFFIX = ".lst"


class Readable(Protocol):
    """What records are read from."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """A host's images of a channel, as `records` and `index` on disk."""

    name: str
    records: Path
    index: Path
    places: tuple[str, ...]
    looked_at: int
    """How many images this host has of the channel, whether they are in its share or not."""
    label_sums: NDArray[np.float64]
    """Of every number of the labels, its sum over the images of the share."""

    def __len__(self) -> int:
        return len(self.places)

    def images(self) -> Iterator[tuple[str, bytes]]:
        """All images with where they came from, in order."""
        with self.records.open("rb") as stream:
            records = image_records.read_image_records(stream, self.name)
            for place, record in zip(self.places, records, strict=True):
                yield place, record.image


@dataclass(frozen=True, slots=True)
class _Found:
    """One image as it was found."""

    place: str
    labels: tuple[float, ...]
    image: bytes


def read_dataset(
    name: str,
    channels: Mapping[str, Channel],
    settings: Settings,
    scratch: Path,
    share: Share | None = None,
) -> Dataset:
    """The dataset of a channel that the job has, or a host's share; raises UserError naming file
    and row."""
    channel = channels[name]
    reader = Labels(settings.num_classes, settings.multi_label, label_format(channel))
    records, index = scratch / f"{name}.rec", scratch / f"{name}.idx"
    places: list[str] = []
    sums = np.zeros(reader.width)
    offsets: dict[int, int] = {}
    taken = share or Share()
    looked_at = 0

    def checked() -> Iterator[ImageRecord]:
        nonlocal looked_at
        for found in _found(channel, channels, reader):
            record = _checked(found, reader, settings, len(places))
            looked_at += 1
            if not taken.has(looked_at - 1):
                continue
            places.append(found.place)
            np.add(sums, record.labels, out=sums)
            yield record

    with records.open("wb") as out:
        image_records.write_image_records(out, checked(), offsets)
    index.write_bytes(image_records.encode_index(offsets))
    if not looked_at:
        raise UserError(
            f"The channel {name!r} holds no images: {channel.path} has none. Check its S3Uri and "
            "S3DataType"
        )
    return Dataset(name, records, index, tuple(places), looked_at, sums)


def _checked(found: _Found, reader: Labels, settings: Settings, number: int) -> ImageRecord:
    try:
        size = pictures.size_of(found.image)
    except NoPicture as error:
        raise UserError(
            f"{found.place} is no image: {error}. Images are JPEG or PNG files; replace it or "
            "leave it out"
        ) from error
    if size is not None:
        _check_size(found.place, size, settings)
    try:
        return ImageRecord(reader.read(found.labels), found.image, number)
    except WrongLabel as error:
        raise UserError(f"{found.place}: {error}") from error


def _check_size(place: str, size: tuple[int, int], settings: Settings) -> None:
    width, height = size
    _, least_height, least_width = settings.image_shape
    resized = ""
    if settings.resize is not None:
        scale = settings.resize / max(min(size), 1)
        width, height = math.ceil(width * scale), math.ceil(height * scale)
        resized = f" ({width} x {height} after resize to {settings.resize})"
    if width < least_width or height < least_height:
        raise UserError(
            f"{place} has {size[0]} x {size[1]} pixels{resized}, which is less than image_shape "
            f"{','.join(map(str, settings.image_shape))} needs. Set resize to at least "
            f"{max(least_height, least_width)}, or a smaller image_shape"
        )


def _found(channel: Channel, channels: Mapping[str, Channel], reader: Labels) -> Iterator[_Found]:
    if channel.input_mode == "Pipe":
        return _of_pipe(channel)
    if not channel.path.is_dir():
        raise UserError(f"The channel {channel.name!r} has no folder {channel.path}")
    if holds_images(channel) or (
        channel.content_type is None and list_channel(channel.name) in channels
    ):
        return _of_lists(channel, channels)
    return _of_record_files(channel)


def _of_record_files(channel: Channel) -> Iterator[_Found]:
    """The records of all .rec files, and of others that begin as such where there are none."""
    log.info("Searching for %s files in %s.", _SUFFIX, channel.path)
    files = channel.files()
    wanted = [path for path in files if path.suffix == _SUFFIX] or [
        path for path in files if _begins_with_a_record(path)
    ]
    if files and not wanted:
        raise UserError(
            f"The channel {channel.name!r} holds no .rec file, but {files[0].name}"
            f"{' and others' if len(files) > 1 else ''}. Make one with MXNet's im2rec.py; for "
            "image files set the content type to application/x-image and add the channel "
            f"{list_channel(channel.name)!r}"
        )
    for path in wanted:
        with path.open("rb") as stream:
            yield from _of_records(stream, f"{channel.name}/{path.relative_to(channel.path)}")


def _begins_with_a_record(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(recordio.MAGIC_BYTES)) == recordio.MAGIC_BYTES


def _of_records(stream: Readable, name: str) -> Iterator[_Found]:
    try:
        for number, record in enumerate(image_records.read_image_records(stream, name), 1):
            yield _Found(f"{name}, record {number}", record.labels, record.image)
    except FormatError as error:
        raise UserError(
            f"{error}. The file is read as {_SUFFIX} of MXNet's im2rec.py: make it anew"
        ) from error


def _of_lists(channel: Channel, channels: Mapping[str, Channel]) -> Iterator[_Found]:
    lists = channels.get(list_channel(channel.name))
    if lists is None:
        raise UserError(
            f"The channel {channel.name!r} has ContentType {channel.content_type!r}, and there is "
            f"no channel {list_channel(channel.name)!r}: add one with a .lst file, or set "
            "ContentType to application/x-recordio for .rec files"
        )
    files = lists.files()
    wanted = [path for path in files if path.suffix == _LIST_SUFFIX]
    if not wanted:
        there = ", ".join(path.name for path in files[:3]) or "nothing"
        raise UserError(
            f"The channel {lists.name!r} holds no .lst file, but {there}: add one, with index, "
            "label and path separated by tabs in every line"
        )
    for path in wanted:
        log.info("Creating record files for %s", path.name)
        yield from _of_list(path, f"{lists.name}/{path.relative_to(lists.path)}", channel)
        log.info("Done creating record files...")


def _of_list(path: Path, name: str, channel: Channel) -> Iterator[_Found]:
    folder = channel.path.resolve()
    try:
        for number, listed in enumerate(image_records.read_list(path.read_bytes(), name), 1):
            place = f"{name}, line {number} ({channel.name}/{listed.path})"
            yield _Found(place, listed.labels, _image(folder, listed.path, place, channel))
    except FormatError as error:
        raise UserError(
            f"{error}. Lines of a .lst file are index, label and path, separated by tabs"
        ) from error


def _image(folder: Path, relative: str, place: str, channel: Channel) -> bytes:
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise UserError(
            f"{place}: there is no such file in the channel {channel.name!r}. Paths are relative "
            "to its S3Uri, in upper and lower case as there; upload the image or take the line out"
        )
    return path.read_bytes()


def _of_pipe(channel: Channel) -> Iterator[_Found]:
    """The first epoch of a pipe: it is kept, so that no later one has to be opened."""
    name = f"{channel.name} (pipe)"
    with channel.open_pipe(0) as pipe:
        yield from _of_piped_records(pipe, name, channel)


def _of_piped_records(pipe: BinaryIO, name: str, channel: Channel) -> Iterator[_Found]:
    """Image records, or where the first one is an image itself: images and labels in turns."""
    try:
        records = recordio.read_records(pipe, name)
        for number, payload in enumerate(records, 1):
            if pictures.is_picture(payload):
                yield _of_manifest(payload, next(records, None), f"{name}, line {number}")
            elif holds_images(channel) or (number == 1 and labels.is_one(payload)):
                raise UserError(
                    f"{name}, line {number} is no image: it begins with {payload[:8]!r}. "
                    f"{_ATTRIBUTES}"
                )
            else:
                place = f"{name}, record {number}"
                record = image_records.unpack(payload, place)
                yield _Found(place, record.labels, record.image)
    except FormatError as error:
        raise UserError(
            f"{error}. A pipe holds .rec files, or an augmented manifest with RecordWrapperType "
            "RecordIO"
        ) from error


def _of_manifest(image: bytes, label: bytes | None, place: str) -> _Found:
    if label is None or pictures.is_picture(label):
        raise UserError(f"{place} has an image and no label. {_ATTRIBUTES}")
    try:
        return _Found(place, labels.of_json(label), image)
    except WrongLabel as error:
        raise UserError(f"{place}: {error}") from error

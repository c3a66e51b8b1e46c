"""Which files of a channel hold data, and a pipe as a file.

As in the original, folders may be nested three deep, files that begin with `_` (as Spark's
`_SUCCESS`) are passed over, and one that begins with `.` is refused.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sagelocal_train.config import Channel

from sagelocal_xgboost.declarations import UserError

MAX_FOLDER_DEPTH = 3


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file, and what the user calls it: the channel and the path below it."""

    path: Path
    name: str


@contextmanager
def opened(channel: Channel) -> Iterator[list[DataFile]]:
    """The files of a channel that hold any bytes, for as long as the context lasts."""
    if channel.input_mode != "Pipe":
        yield data_files(channel)
        return
    with tempfile.TemporaryDirectory() as folder:
        spooled = Path(folder) / channel.name
        with channel.open_pipe(0) as pipe, spooled.open("wb") as out:
            shutil.copyfileobj(pipe, out, 1 << 20)
        has_data = spooled.stat().st_size > 0
        yield [DataFile(spooled, f"{channel.name} (pipe)")] if has_data else []


def data_files(channel: Channel) -> list[DataFile]:
    """The files of a channel in File mode, by their path; one that is a file is that.

    Raises UserError.
    """
    if channel.path.is_file():
        return [DataFile(channel.path, channel.name)] if channel.path.stat().st_size else []
    found = []
    for folder, folders, names in os.walk(channel.path, followlinks=True):
        folders.sort()
        below = Path(folder).relative_to(channel.path)
        if len(below.parts) > MAX_FOLDER_DEPTH:
            raise UserError(
                f"Folder depth exceed the limit: {MAX_FOLDER_DEPTH}. {channel.name}/{below} lies "
                "deeper; move its files up"
            )
        for name in sorted(names):
            found += _data_file(channel, below / name)
    return found


def _data_file(channel: Channel, below: Path) -> list[DataFile]:
    path, name = channel.path / below, f"{channel.name}/{below}"
    if below.name.startswith("."):
        raise UserError(f"Hidden file found in the data path: {name}. Remove that before training")
    if below.name.startswith("_") or not path.stat().st_size:
        return []
    return [DataFile(path, name)]

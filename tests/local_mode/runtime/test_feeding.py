"""The feeder as a process, its pipes read slower than it could write."""

from __future__ import annotations

import array
import fcntl
import gzip
import json
import os
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime import feeding
from sagelocal.runtime.feeder.main import PIPE_BYTES
from sagelocal.runtime.feeder.stream import UNZIPPED_BYTES
from sagelocal_formats.recordio import read_records

OBJECT_BYTES = 1 << 22
OBJECTS = 12
# A header or an object's end takes one of the pipe's pages for itself.
NEARLY_FULL = PIPE_BYTES - (1 << 16)


class Fed:
    """A channel `train` of objects that cannot be compressed, and the process that feeds it."""

    def __init__(self, folder: Path, **options: bool) -> None:
        self.folder = folder
        self.contents = [os.urandom(OBJECT_BYTES) for _ in range(OBJECTS)]
        items = []
        for number, content in enumerate(self.contents):
            stored = gzip.compress(content, 1) if options.get("gzip") else content
            (folder / f"object-{number}").write_bytes(stored)
            items.append([{"file": str(folder / f"object-{number}"), "source": f"s3://b/{number}"}])
        channel = {"name": "train", "seed": None, "index": 0, "count": 1, "records": items}
        channel |= {"gzip": False, "recordio": False, **options}
        plan = {"folder": str(folder), "channels": [channel]}
        (folder / feeding.PLAN).write_text(json.dumps(plan))
        feeding.start(folder)
        self.pid = json.loads((folder / "feeder.json").read_text())["pid"]

    def read_bytes(self) -> int:
        """How much the process has read by read(2) since it was started."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["rchar"])

    def open_objects(self) -> set[str]:
        """The objects that the process has open."""
        names = set()
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                names.add(descriptor.readlink().name)
            except FileNotFoundError:
                continue
        return {name for name in names if name.startswith("object-")}


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[..., Fed]]:
    yield lambda **options: Fed(tmp_path, **options)
    feeding.stop(tmp_path)


def waiting_in(pipe: Any) -> int:
    """How many bytes the pipe holds."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("recordio", [False, True])
def test_a_reader_that_stops_finds_one_pipe_filled_and_nothing_more_taken(
    feed: Callable[..., Fed], recordio: bool
) -> None:
    fed = feed(recordio=recordio)
    before = fed.read_bytes()
    with (fed.folder / "train_0").open("rb") as pipe:
        first = pipe.read(1 << 16)
        wait_until(lambda: waiting_in(pipe) >= NEARLY_FULL)
        assert waiting_in(pipe) <= PIPE_BYTES
        # The bytes go from the page cache to the pipe; the process itself holds none, and has
        # come no further than the object that the pipe ends in.
        assert fed.read_bytes() - before < 1 << 16
        assert fed.open_objects() == {"object-0"}
        assert feeding.failure(fed.folder) is None
        rest = first + pipe.read()
    if recordio:
        (fed.folder / "read").write_bytes(rest)
        with (fed.folder / "read").open("rb") as file:
            assert list(read_records(file)) == fed.contents
    else:
        assert rest == b"".join(fed.contents)


def test_a_reader_that_stops_finds_no_more_unzipped_than_the_limit(
    feed: Callable[..., Fed],
) -> None:
    fed = feed(gzip=True)
    before = fed.read_bytes()
    with (fed.folder / "train_0").open("rb") as pipe:
        first = pipe.read(1 << 16)
        # It works ahead as far as it may ...
        wait_until(lambda: waiting_in(pipe) >= NEARLY_FULL)
        wait_until(lambda: fed.read_bytes() - before >= UNZIPPED_BYTES)
        # ... and no further, but for what each of its threads has in its hands.
        most = UNZIPPED_BYTES + PIPE_BYTES + 4 * (1 << 20)
        assert fed.read_bytes() - before <= most < OBJECTS * OBJECT_BYTES // 3
        assert feeding.failure(fed.folder) is None
        assert first + pipe.read() == b"".join(fed.contents)


def test_a_reader_that_closes_early_gets_the_next_epoch_from_its_start(
    feed: Callable[..., Fed],
) -> None:
    fed = feed(gzip=True)
    for epoch in range(3):
        wait_until((fed.folder / f"train_{epoch}").exists)
        with (fed.folder / f"train_{epoch}").open("rb") as pipe:
            assert pipe.read(1 << 20) == fed.contents[0][: 1 << 20]
    wait_until(lambda: not fed.open_objects())

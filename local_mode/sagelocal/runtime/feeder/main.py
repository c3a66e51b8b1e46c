"""Fill a host's pipes, epoch after epoch, until the job is over.

    CHANNEL_0 is there before the container starts. Once somebody has opened CHANNEL_<n> to read,
    CHANNEL_<n+1> appears, and the channel's records go into CHANNEL_<n>, no faster than they are
    read. When all are written, or the reader has closed early, that pipe ends and is removed, and
    the next one waits for its reader.

What cannot be sent is written to `failure` before the pipe ends, so that nobody takes a part of the
data for the whole; then the process ends, which is how the plane hears of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from sagelocal.domain.channels import epoch_order
from sagelocal.runtime.feeder.stream import Stream
from sagelocal.runtime.feeder.unzip import FeedError
from sagelocal.runtime.supervisor import proc

# As much as any user may have (fs.pipe-max-size is 1 MiB unless root set it otherwise).
PIPE_BYTES = 1 << 20
LOOK_SECONDS = 5.0
_F_SETPIPE_SZ = 1031


class Feeder:
    """All pipes of one host; `folder` holds plan.json and gets feeder.json and failure."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with open(f"{folder}/plan.json", encoding="utf-8") as file:
            self._plan: dict[str, Any] = json.load(file)
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()

    def start(self) -> None:
        """Make the first pipes and say who we are."""
        for channel in self._plan["channels"]:
            self._make_pipe(channel, 0)
        own = os.getpid()
        identity = {"pid": own, "started": proc.start_time(own), "boot": proc.boot_id()}
        self._write("feeder.json", json.dumps(identity))

    def run(self) -> None:
        """Feed until the folder is gone (the job was cleared away) or something cannot be sent."""
        for channel in self._plan["channels"]:
            threading.Thread(target=self._feed, args=(channel,), daemon=True).start()
        while os.path.exists(self._folder):
            with contextlib.suppress(queue.Empty):
                self._failures.get(timeout=LOOK_SECONDS)
                return

    def _feed(self, channel: dict[str, Any]) -> None:
        try:
            for epoch in itertools.count():
                self._feed_epoch(channel, epoch)
        except BaseException as error:
            kind = "" if isinstance(error, FeedError) else f"{type(error).__name__}: "
            reason = f"Channel {channel['name']!r}: {kind}{error}"
            # Pipes are left open: they end with the process, after this is written.
            self._write("failure", reason)
            self._failures.put(reason)

    def _feed_epoch(self, channel: dict[str, Any], epoch: int) -> None:
        path = self._pipe(channel, epoch)
        descriptor = os.open(path, os.O_WRONLY)  # returns when somebody opens it to read
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIPE_BYTES)
        self._make_pipe(channel, epoch + 1)
        stream = Stream(descriptor, channel["gzip"], channel["recordio"])
        records = epoch_order(
            channel["records"], channel["seed"], epoch, channel["index"], channel["count"]
        )
        with contextlib.suppress(BrokenPipeError):
            stream.send(itertools.chain.from_iterable(records))
        # Before it ends, so that nobody opens it once more and waits for ever.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(descriptor)

    def _make_pipe(self, channel: dict[str, Any], epoch: int) -> None:
        path = self._pipe(channel, epoch)
        os.mkfifo(path)
        os.chmod(path, 0o666)  # whoever the container's user is

    def _pipe(self, channel: dict[str, Any], epoch: int) -> str:
        return f"{self._plan['folder']}/{channel['name']}_{epoch}"

    def _write(self, name: str, text: str) -> None:
        """All of it or nothing is there, whenever somebody looks."""
        path = f"{self._folder}/{name}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{path}.new", path)


def main(folder: str) -> None:
    """Become the feeder of `folder`, and say so in one line."""
    # The plane must not have to reap us, nor we become a zombie of one that is gone.
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    feeder = Feeder(folder)
    try:
        feeder.start()
    except OSError as error:
        os.write(1, f"error {error}".encode())
        sys.exit(1)
    with contextlib.suppress(BrokenPipeError):
        os.write(1, b"started")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    feeder.run()
    os._exit(0)  # the threads wait for readers that may never come

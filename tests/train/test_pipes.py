"""Pipe mode as an algorithm reads it: one pipe after the other, each waited for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from sagelocal_train import Channel, PlatformError


def test_a_pipe_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    channel = Channel("train", tmp_path / "train", input_mode="Pipe")

    def feed() -> None:
        for epoch in range(3):
            os.mkfifo(channel.pipe(epoch))
            channel.pipe(epoch).write_bytes(f"epoch {epoch}".encode())
            channel.pipe(epoch).unlink()

    feeder = threading.Thread(target=feed)
    feeder.start()
    for epoch in range(3):
        with channel.open_pipe(epoch) as pipe:
            assert f"epoch {epoch}".encode() == pipe.read()
    feeder.join()


def test_a_pipe_that_never_comes_is_named(tmp_path: Path) -> None:
    channel = Channel("train", tmp_path / "train", input_mode="Pipe")
    with pytest.raises(PlatformError, match=r"train_7 was not made within 0\.05 s"):
        channel.open_pipe(7, timeout_seconds=0.05)

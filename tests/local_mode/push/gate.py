"""A way to a registry that lets only so much of each connection pass until it is opened."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_CHUNK = 65536


class Gate:
    """Forwards connections to `target`; one whose client sends more than `limit` bytes waits.

    Once it is open, everything passes, and what waits is cut: its client may be gone.
    """

    def __init__(self, target: str, limit: int) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._limit = limit
        self._open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let everything pass that begins now."""
        self._open.set()

    def close(self) -> None:
        self._open.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for source, sink, limit in ((client, server, self._limit), (server, client, None)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, limit), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                passed += len(data)
                if limit is not None and passed > limit and not self._open.is_set():
                    self._open.wait()
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def gate(target: str, limit: int) -> Iterator[Gate]:
    made = Gate(target, limit)
    try:
        yield made
    finally:
        made.close()

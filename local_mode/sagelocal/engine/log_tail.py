"""A growing log, read on from where it was left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sagelocal.store.logs import LogStore, NoSuchLog


@dataclass
class Tail:
    """Every stream of a group that begins with a prefix, read on from where it was left."""

    store: LogStore
    group: str
    prefix: str
    offsets: dict[str, int] = field(default_factory=dict)

    def new_lines(self) -> Iterator[str]:
        """What has come since the last call; lines of several streams carry the stream's name."""
        try:
            names = [stream.name for stream in self.store.streams(self.group, self.prefix)]
        except NoSuchLog:
            return
        for name in names:
            label = f"{name.removeprefix(self.prefix)}  " if len(names) > 1 else ""
            for text in self._read_on(name):
                yield label + text

    def _read_on(self, name: str) -> Iterator[str]:
        while True:
            page = self.store.forwards(self.group, name, self.offsets.get(name, 0))
            self.offsets[name] = page.end
            if not page.events:
                return
            yield from (event.text for event in page.events)

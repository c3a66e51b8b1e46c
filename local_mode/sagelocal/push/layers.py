"""How far the layers of a push are, from what the engine says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SENT, _THERE, _SENDING, _MOUNTED = "Pushed", "Layer already exists", "Pushing", "Mounted from"


@dataclass
class Layers:
    """Fed with the engine's events; tells counts and bytes.

    `sizes` and `sent_bytes` are of what the engine has begun to send, by layer.
    """

    sent: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    sent_bytes: dict[str, int] = field(default_factory=dict)
    digest: str | None = None

    def feed(self, event: Mapping[str, Any]) -> str | None:
        """Take an event in; the line to tell if a layer is done by it."""
        self.digest = (event.get("aux") or {}).get("Digest") or self.digest
        layer, status = event.get("id"), str(event.get("status", ""))
        if layer is None or layer in self.sent | self.there:
            return None
        if status == _SENT:
            return self._done(layer, self.sent, f"sent ({self._megabytes(layer)})")
        if status == _THERE:
            return self._done(layer, self.there, "was there already")
        if status.startswith(_MOUNTED):
            return self._done(layer, self.there, f"taken from {status.split()[-1]}")
        self.waiting.add(layer)
        if status == _SENDING:
            self._sending(layer, event.get("progressDetail") or {})
        return None

    @property
    def count(self) -> int:
        return len(self.sent) + len(self.there) + len(self.waiting)

    @property
    def done(self) -> int:
        return len(self.sent) + len(self.there)

    @property
    def bytes_sent(self) -> int:
        return sum(self.sent_bytes.values())

    def told(self) -> str:
        """In one line, while it goes on."""
        sizes = f"{self.bytes_sent / 1e6:.1f} of {sum(self.sizes.values()) / 1e6:.1f} MB"
        return f"{self.done} of {self.count} layers, {sizes}"

    def _done(self, layer: str, where: set[str], how: str) -> str:
        self.waiting.discard(layer)
        where.add(layer)
        self.sent_bytes[layer] = self.sizes.get(layer, 0)
        return f"layer {layer} {how}, {self.done} of {self.count}"

    def _sending(self, layer: str, progress: Mapping[str, Any]) -> None:
        """What is sent is packed, and may be more or less than the size that was told first."""
        current = int(progress.get("current", 0))
        self.sent_bytes[layer] = current
        told = int(progress.get("total", 0))
        self.sizes[layer] = max(current, told, self.sizes.get(layer, 0))

    def _megabytes(self, layer: str) -> str:
        return f"{self.sizes.get(layer, 0) / 1e6:.1f} MB"

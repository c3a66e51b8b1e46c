"""Captured calls on their way to S3: gathered for a second, then put there as one object."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from sagelocal.domain.data_capture import DataCapture, Side
from sagelocal.domain.endpoints import Endpoint
from sagelocal.store.objects import NoSuchBucket, ObjectStore

GATHER_SECONDS = 1.0
CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    capture: DataCapture
    endpoint_name: str
    variant_name: str


class CaptureWriter:
    """Keeps lines and writes them. Safe to use from any thread."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._changed = threading.Condition()
        self._lines: dict[_Place, list[str]] = defaultdict(list)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="data capture", daemon=True)
        self._thread.start()

    def keep(
        self,
        capture: DataCapture,
        endpoint: Endpoint,
        variant_name: str,
        given: Side,
        answered: Side,
        *,
        inference_id: str | None,
        custom_attributes: str | None,
    ) -> None:
        """Keep one call."""
        line = capture.line(
            given,
            answered,
            datetime.now(UTC),
            inference_id=inference_id,
            custom_attributes=[custom_attributes] if custom_attributes else [],
        )
        with self._changed:
            self._lines[_Place(capture, endpoint.name, variant_name)].append(line)
            self._changed.notify_all()

    def close(self) -> None:
        """Write what is there; nothing is kept afterwards."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closing)
                if not self._lines:
                    return
                deadline = time.monotonic() + GATHER_SECONDS
                self._changed.wait_for(
                    lambda: self._closing, timeout=max(0.0, deadline - time.monotonic())
                )
                gathered, self._lines = self._lines, defaultdict(list)
            for place, lines in gathered.items():
                self._write(place, lines)

    def _write(self, place: _Place, lines: list[str]) -> None:
        capture = place.capture
        key = capture.key(place.endpoint_name, place.variant_name, datetime.now(UTC))
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            self._objects.put_stream(
                capture.destination.bucket,
                key,
                io.BytesIO(content),
                content_type="application/jsonl",
            )
        except NoSuchBucket:
            log.warning("data capture: there is no bucket %s", capture.destination.bucket)
        except Exception:
            log.exception("data capture of endpoint %s", place.endpoint_name)

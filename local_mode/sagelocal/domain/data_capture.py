"""Data capture: what is kept of the calls of an endpoint, line by line.

Sources: the botocore shape DataCaptureConfig; developer guide, "Capture data from real-time
endpoint".
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sagelocal.domain.names import S3Uri

_SIDES = {
    "Input": ("endpointInput",),
    "Output": ("endpointOutput",),
    "InputAndOutput": ("endpointInput", "endpointOutput"),
}
_MODES = {"endpointInput": "INPUT", "endpointOutput": "OUTPUT"}


@dataclass(frozen=True)
class Side:
    """One half of a call: its bytes and their content type."""

    body: bytes
    content_type: str | None


@dataclass(frozen=True)
class DataCapture:
    """A DataCaptureConfig that is switched on. Content types are without parameters."""

    destination: S3Uri
    percentage: int
    sides: frozenset[str]
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Self | None:
        """None for a configuration that is not there, or switched off. Raises ValueError."""
        if not config or not config.get("EnableCapture", True):
            return None
        types = config.get("CaptureContentTypeHeader", {})
        return cls(
            S3Uri.parse(config["DestinationS3Uri"]),
            config["InitialSamplingPercentage"],
            frozenset(
                side
                for option in config["CaptureOptions"]
                for side in _SIDES[option["CaptureMode"]]
            ),
            frozenset(map(_essence, types.get("CsvContentTypes", ()))),
            frozenset(map(_essence, types.get("JsonContentTypes", ()))),
        )

    def wants(self) -> bool:
        """Whether to keep this call, which chance decides."""
        return random.random() * 100 < self.percentage

    def line(
        self,
        given: Side,
        answered: Side,
        at: datetime,
        *,
        inference_id: str | None = None,
        custom_attributes: Sequence[str] = (),
    ) -> str:
        """The JSON of one call, without the newline."""
        sides = {"endpointInput": given, "endpointOutput": answered}
        metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
        if custom_attributes:
            metadata["customAttributes"] = list(custom_attributes)
        if inference_id:
            metadata["inferenceId"] = inference_id
        metadata["inferenceTime"] = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return json.dumps(
            {
                "captureData": {
                    name: self._captured(sides[name], _MODES[name])
                    for name in _MODES
                    if name in self.sides
                },
                "eventMetadata": metadata,
                "eventVersion": "0",
            }
        )

    def key(self, endpoint_name: str, variant_name: str, at: datetime) -> str:
        """Where lines of this moment go: `<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/<file>`."""
        moment = at.astimezone(UTC)
        file = f"{moment:%M-%S}-{moment.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
        parts = (self.destination.key.strip("/"), endpoint_name, variant_name)
        return "/".join([*(p for p in parts if p), f"{moment:%Y/%m/%d/%H}", file])

    def _captured(self, side: Side, mode: str) -> dict[str, str]:
        data, encoding = self._encoded(side)
        return {
            "observedContentType": side.content_type or "",
            "mode": mode,
            "data": data,
            "encoding": encoding,
        }

    def _encoded(self, side: Side) -> tuple[str, str]:
        essence = _essence(side.content_type or "")
        for types, encoding in ((self.csv_types, "CSV"), (self.json_types, "JSON")):
            if essence in types:
                try:
                    return side.body.decode(), encoding
                except UnicodeDecodeError:
                    break
        return base64.b64encode(side.body).decode(), "BASE64"


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()

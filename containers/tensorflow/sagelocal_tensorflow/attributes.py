"""What a client asks of TensorFlow Serving beside the body: `tfs-model-name=half,tfs-method=...`.

They come in the header X-Amzn-SageMaker-Custom-Attributes, which the SDK's TensorFlowPredictor
fills from `model_name`, `model_version`, `classify` and `regress`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PAIR = re.compile(r"(tfs-[a-z-]+)=([^,=]+)(?=,|$)")


@dataclass(frozen=True)
class Attributes:
    """Which model, version and method a request is for; None where it does not say."""

    model_name: str | None = None
    model_version: str | None = None
    method: str | None = None

    @classmethod
    def parse(cls, header: str) -> Attributes:
        """Those of a header; what is not TensorFlow Serving's is passed over."""
        found = {name: value.strip() for name, value in _PAIR.findall(header)}
        return cls(
            found.get("tfs-model-name"), found.get("tfs-model-version"), found.get("tfs-method")
        )

"""The `context` that a script's functions may ask for: what they may read and set of a request.

The shape is the one that Multi Model Server and TorchServe hand to their handlers, as far as
scripts use it, with `custom_attributes` added: there it could be read only, with some effort.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagelocal_serve.interface import Request

CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class Headers(dict[str, str]):
    """Headers by their names in lower case, found by any spelling.

    A script asks for `X-Amzn-SageMaker-Custom-Attributes` or for what its server made of it.
    """

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The header, else the default."""
        return super().get(name.lower(), default)

    def copy(self) -> Headers:
        """Another one that the script may change."""
        return Headers(self)


class Context:
    """One request as the script sees it; for model_fn there is no request yet."""

    def __init__(self, model_dir: Path, request: Request | None = None) -> None:
        self.model_name = "model"
        self.manifest: dict[str, object] = {}
        self.system_properties: dict[str, object] = {
            "model_dir": str(model_dir),
            "gpu_id": None,
            "batch_size": 1,
        }
        self._request_headers = Headers(request.headers if request else {})
        self._response_headers: dict[str, str] = {}
        self._status = 200
        #: The caller's X-Amzn-SageMaker-Custom-Attributes.
        self.custom_attributes = request.custom_attributes if request else ""

    @property
    def request_processor(self) -> list[Context]:
        """This object once more: Multi Model Server keeps the request's side in a list."""
        return [self]

    def get_all_request_header(self, idx: int = 0) -> dict[str, str]:
        """All headers of the request; one is found whatever the case of its name."""
        return self._request_headers.copy()

    def get_request_header(self, idx: int, key: str) -> str | None:
        """One header of the request, whatever the case of its name."""
        found: str | None = self._request_headers.get(key)
        return found

    def get_request_properties(self) -> dict[str, str]:
        return self.get_all_request_header()

    def get_request_property(self, key: str) -> str | None:
        return self.get_request_header(0, key)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Content-Type and the custom attributes go out; SageMaker drops all other headers."""
        self._response_headers[key.lower()] = value

    def add_response_property(self, key: str, value: str) -> None:
        self.set_response_header(0, key, value)

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, "Content-Type", value)

    def get_response_content_type(self, idx: int = 0) -> str | None:
        return self._response_headers.get("content-type")

    def get_response_headers(self, idx: int = 0) -> Mapping[str, str]:
        return dict(self._response_headers)

    def set_response_custom_attributes(self, value: str) -> None:
        """The X-Amzn-SageMaker-Custom-Attributes of the answer."""
        self.set_response_header(0, CUSTOM_ATTRIBUTES, value)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self._status = code

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self.set_response_status(code)

    @property
    def response_status(self) -> int:
        """The status that the script set, else 200."""
        return self._status

    @property
    def response_custom_attributes(self) -> str:
        """The custom attributes that the script set, else none."""
        return self._response_headers.get(CUSTOM_ATTRIBUTES, "")

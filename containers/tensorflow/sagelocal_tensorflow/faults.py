"""What can go wrong with a request, as TensorFlow Serving says it: a status, `{"error": ...}`."""

from __future__ import annotations

import json


class Refused(Exception):
    """A request that gets no prediction; the message is meant for the caller."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    def body(self) -> bytes:
        """The JSON that TensorFlow Serving answers with (RESTful API, introduction)."""
        return json.dumps({"error": self.message}).encode()

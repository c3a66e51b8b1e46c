"""What hosting asks of a container with many models: load, list and unload them.

Source: developer guide, "Custom Containers Contract for Multi-Model Endpoints". A connection for
each call: they are rare, and the one that loads a model may stay open for minutes.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sagelocal.engine.forwarding import NoAnswer, TooSlow

TARGET_MODEL_HEADER = "X-Amzn-SageMaker-Target-Model"
# A list that never ends is no list.
MOST_PAGES = 1000
LONGEST_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ModelsAnswer:
    """What the container said: its status, and its words."""

    status: int
    body: bytes = field(repr=False)


class ModelsApi:
    """The models of the container at `address` (http://host:port).

    Every call raises NoAnswer, and TooSlow when its seconds are over.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port

    def load(self, name: str, url: str, target: str, timeout_seconds: float) -> ModelsAnswer:
        """Have it load the model in its folder `url`, which clients call `target`."""
        body = json.dumps({"model_name": name, "url": url}).encode()
        return self._call("POST", "/models", timeout_seconds, body, target)

    def unload(self, name: str, timeout_seconds: float) -> ModelsAnswer:
        return self._call("DELETE", f"/models/{quote(name, safe='')}", timeout_seconds)

    def knows(self, name: str, timeout_seconds: float) -> bool:
        """Whether the model is loaded."""
        return self._call("GET", f"/models/{quote(name, safe='')}", timeout_seconds).status == 200

    def loaded(self, timeout_seconds: float) -> frozenset[str]:
        """The names of all models that are loaded. Raises NoAnswer for what is no list, too."""
        names: set[str] = set()
        path = "/models"
        for _ in range(MOST_PAGES):
            answer = self._call("GET", path, timeout_seconds)
            page = _page(answer)
            names.update(str(model["modelName"]) for model in page.get("models", ()))
            token = page.get("nextPageToken")
            if not token:
                break
            path = f"/models?{urlencode({'next_page_token': token})}"
        return frozenset(names)

    def _call(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        body: bytes | None = None,
        target: str | None = None,
    ) -> ModelsAnswer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if target is not None:
            headers[TARGET_MODEL_HEADER] = target
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_seconds)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return ModelsAnswer(response.status, response.read(LONGEST_ANSWER_BYTES))
        except TimeoutError as error:
            raise TooSlow(f"no answer within {timeout_seconds:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error
        finally:
            connection.close()


def _page(answer: ModelsAnswer) -> dict[str, Any]:
    if answer.status != http.client.OK:
        raise NoAnswer(f"GET /models answered {answer.status}")
    try:
        page = json.loads(answer.body)
    except ValueError as error:
        raise NoAnswer("GET /models did not answer with JSON") from error
    if not isinstance(page, dict):
        raise NoAnswer("GET /models did not answer with an object")
    return page

"""What our application adds to a request: run by the interpreter that has the serving package.

The handler answers with a constant, so that neither parsing nor prediction nor encoding is in it,
and there is no server: WSGI environment in, status, headers and body out.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

from sagelocal_serve import ExecutionParameters, MediaType, Request, Response, Settings, create_app

CALLS = 5000
ROUNDS = 7


class Constant:
    """A model that knows the answer."""

    shares_memory = True
    answer = Response(b"0.5\n", MediaType.parse("text/csv"))

    def prepare(self, model_dir: Path) -> None:
        """Nothing to prepare."""

    def load(self, model_dir: Path) -> None:
        """Nothing to load."""

    def handle(self, request: Request) -> Response:
        return self.answer

    def execution_parameters(self) -> ExecutionParameters | None:
        return None


def main() -> None:
    application = create_app(Constant(), Settings())
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/invocations",
        "CONTENT_TYPE": "text/csv",
        "CONTENT_LENGTH": "16",
        "HTTP_ACCEPT": "text/csv",
        "HTTP_HOST": "model:8080",
    }

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        """What a server would send."""

    def one() -> Any:
        return application({**environ, "wsgi.input": io.BytesIO(b"5.1,3.5,1.4,0.2\n")}, start)

    found = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(CALLS):
            one()
        found.append((time.process_time() - begin) / CALLS * 1e6)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""What hands a request through the containers of a pipeline, as SageMaker does: a program.

    python3 front.py 8080 8081,8082
    python3 front.py 8080 first:8081,second:8082

It listens on the first port; the containers are on the others, of this host or of theirs. Each
container's answer is the next one's request, with its Content-Type, and the client's Accept is for
the last. An answer that is no success ends the chain and goes to the client. /ping is 200 when
that of every container is.
"""

from __future__ import annotations

import sys

from sagelocal.export.gate import PING_SECONDS, Answer, Gate, ask, handed_on, serve


class Front(Gate):
    """One connection of a client."""

    containers: tuple[str, ...] = ()  # PORT or HOST:PORT of each

    def ping(self) -> Answer:
        for container in self.containers:
            answer = ask(container, "GET", "/ping", seconds=PING_SECONDS)
            if answer[0] != 200:
                return answer
        return 200, b"", {}

    def invoke(self, body: bytes) -> Answer:
        """The last container's answer, or that of the first that fails."""
        headers = handed_on(self.headers.items())
        *before, last = self.containers
        for container in before:
            status, body, answered = ask(container, "POST", "/invocations", body, headers)
            if not 200 <= status < 300:
                return status, body, answered
            kind = {n: v for n, v in answered.items() if n.lower() == "content-type"}
            headers = {n: v for n, v in headers.items() if n.lower() != "content-type"} | kind
        accept = self.headers.get("Accept")
        headers |= {"Accept": accept} if accept else {}
        return ask(last, "POST", "/invocations", body, headers)


if __name__ == "__main__":
    Front.containers = tuple(sys.argv[2].split(","))
    serve(int(sys.argv[1]), Front, f"handing requests through {' '.join(Front.containers)}")

"""Asking /ping from inside a container, with what it happens to have."""

from __future__ import annotations

from sagelocal.export.description import PING, PING_SECONDS

# A shell and an interpreter have to start besides.
COMMAND_SECONDS = 10


def ping_command(port: int) -> str:
    """For a shell: curl, wget or Python, whichever the image has; 0 if the answer is 200."""
    url = f"http://127.0.0.1:{port}{PING}"
    program = (
        "import urllib.request as r, sys; "
        f"sys.exit(r.urlopen('{url}', timeout={PING_SECONDS}).status != 200)"
    )
    return (
        f"curl -f -s -o /dev/null -m {PING_SECONDS} {url} || wget -q -O /dev/null {url} || "
        f'python3 -c "{program}" || exit 1'
    )

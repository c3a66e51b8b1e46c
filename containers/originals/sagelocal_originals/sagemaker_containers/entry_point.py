"""`_wait_hostname_resolution()`, with which scripts on several hosts begin."""

from __future__ import annotations

from sagelocal_train import Environment, hosts


def _wait_hostname_resolution() -> None:
    """Return when the names of all hosts of the job resolve; raises PlatformError."""
    hosts.wait_until_resolvable(Environment.read().hosts)

"""wrk, the load generator: how many requests a server answers in a second, and how late the last.

`make bench` fetches it from Debian's packages where it is not installed; SAGELOCAL_BENCH_WRK names
it.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw."""

    requests_per_second: float
    p99_milliseconds: float


@dataclass(frozen=True, slots=True)
class Shot:
    """A request to be sent again and again."""

    url: str
    body: bytes
    content_type: str

    def fire(self, folder: Path, connections: int, seconds: int) -> Load:
        """Send it over so many kept-alive connections. Raises RuntimeError for any failed one."""
        script = folder / "shot.lua"
        payload = folder / "shot.body"
        payload.write_bytes(self.body)
        script.write_text(
            'wrk.method = "POST"\n'
            f'wrk.headers["Content-Type"] = "{self.content_type}"\n'
            f'wrk.body = io.open("{payload}", "rb"):read("*a")\n'
        )
        done = subprocess.run(
            [
                os.environ.get("SAGELOCAL_BENCH_WRK", "wrk"),
                *("-t1", f"-c{connections}", f"-d{seconds}s", "--latency"),
                *("--timeout", "30s", "-s", str(script), self.url),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
        return _parse(done.stdout)


def _parse(printed: str) -> Load:
    trouble = re.search(r"(Non-2xx.*|Socket errors.*)", printed)
    if trouble:
        raise RuntimeError(f"wrk saw {trouble[1]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    latest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", printed)
    if rate is None or latest is None:
        raise RuntimeError(f"wrk printed no figures:\n{printed}")
    return Load(float(rate[1]), float(latest[1]) * _UNITS[latest[2]])

"""Starting the plane, and starting it again after SIGKILL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.figures import Figure, report, seconds
from tests.bench.plane import Plane

ROUNDS = 7
BARE = "import botocore.model, click, flask, gunicorn.app.base, sqlite3, urllib3"


def measure(folder: Path) -> None:
    """Print how long `sagelocal up` takes, against an interpreter that imports the same."""
    plane = Plane(folder / "lifecycle")
    plane.up()
    plane.client("s3").create_bucket(Bucket="kept")
    for number in range(50):
        plane.client("s3").put_object(Bucket="kept", Key=f"{number:03}", Body=b"x" * 1000)
    plane.down()
    up, bare, again, lost = [], [], [], []
    for _ in range(ROUNDS):
        bare.append(seconds(lambda: subprocess.run([sys.executable, "-c", BARE], check=True)))
        up.append(seconds(plane.up))
        plane.kill()
        again.append(seconds(plane.up))
        listed = plane.client("s3").list_objects_v2(Bucket="kept")
        lost.append(float(50 - listed["KeyCount"]))
        plane.down()
    report(
        "The control plane's own life",
        [
            Figure("an interpreter that imports what the plane imports", bare, "s"),
            Figure("sagelocal up, until it answers", up, "s", 1.0),
            Figure("SIGKILL, then sagelocal up, until it answers", again, "s", 1.5),
            Figure(
                "ratio up / bare interpreter", [u / b for u, b in zip(up, bare, strict=True)], ""
            ),
            Figure("objects lost by SIGKILL", lost, "", 0),
        ],
    )

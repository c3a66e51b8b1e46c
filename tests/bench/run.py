"""`make bench`: every figure we claim, measured here and now."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench import channels, formats, hosting, lifecycle, script, training
from tests.bench.plane import Plane


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sagelocal-bench-") as name:
        folder = Path(name)
        formats.measure(folder)
        script.measure(folder)
        lifecycle.measure(folder)
        plane = Plane(folder / "data")
        plane.up()
        try:
            job = training.measure(plane, folder)
            hosting.measure(plane, folder, job)
            channels.measure(plane, folder)
        finally:
            plane.down()


if __name__ == "__main__":
    main()

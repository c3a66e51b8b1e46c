"""`make bench`: every figure we claim, measured here and now."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench import (
    blazingtext,
    channels,
    first_party,
    formats,
    hosting,
    lifecycle,
    scikit_learn_image,
    script,
    serving,
    training,
    xgboost_image,
)
from tests.bench.plane import Plane


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sagelocal-bench-") as name:
        folder = Path(name)
        formats.measure(folder)
        script.measure(folder)
        scikit_learn_image.measure(folder)
        blazingtext.measure(folder)
        serving.measure(folder)
        xgboost_image.measure(folder)
        first_party.measure(folder)
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

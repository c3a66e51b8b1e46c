"""`make bench`: every figure we claim, measured here and now.

python -m tests.bench.run                                  all of them: hours
python -m tests.bench.run families                         what the built-in algorithms take
python -m tests.bench.run frameworks --only pytorch        what a framework's image adds
python -m tests.bench.run cold-starts                      how soon images answer
python -m tests.bench.run families --share 0.02 --only pca      a trial of one
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench import (
    blazingtext,
    channels,
    cold_starts,
    families,
    formats,
    frameworks,
    hosting,
    lifecycle,
    script,
    serving,
    training,
    xgboost_image,
)
from tests.bench.plane import Plane


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="?", choices=["families", "frameworks", "cold-starts"])
    parser.add_argument("--share", type=float, default=1.0, help="of the data: 0.02 for a trial")
    parser.add_argument("--only", action="append", default=[], help="a family; may be repeated")
    parser.add_argument("--turns", type=int, default=families.TURNS, help="how often each trains")
    arguments = parser.parse_args()
    if arguments.part is not None:
        with tempfile.TemporaryDirectory(prefix="sagelocal-bench-") as name:
            if arguments.part == "families":
                families.measure(Path(name), arguments.share, arguments.only, arguments.turns)
            elif arguments.part == "frameworks":
                frameworks.measure(Path(name), arguments.only)
            else:
                cold_starts.measure(Path(name), arguments.only)
        return
    with tempfile.TemporaryDirectory(prefix="sagelocal-bench-") as name:
        folder = Path(name)
        formats.measure(folder)
        script.measure(folder)
        frameworks.measure(folder)
        cold_starts.measure(folder)
        blazingtext.measure(folder)
        serving.measure(folder)
        xgboost_image.measure(folder)
        families.measure(folder)
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

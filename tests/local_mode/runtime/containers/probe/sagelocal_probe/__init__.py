"""The package of the family that the runtimes' tests run."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script of the image."""
    print("probe", *sys.argv[1:])

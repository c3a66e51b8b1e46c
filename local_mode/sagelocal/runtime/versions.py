"""Which version of a framework an image's tag asks for, and whether a family holds that one.

The tags of AWS's framework images (SageMaker Python SDK, `image_uri_config`):

    2.13.0-cpu-py310                                       the framework's version first
    1.2-1-cpu-py3                                          and after it the image's own number
    2.1.0-transformers4.36.0-cpu-py310-ubuntu22.04         or behind a word, after that of its base
    latest                                                 none
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = r"\d+(?:\.\d+)*"


def asked_for(tag: str, word: str | None = None) -> str | None:
    """The version that a tag names, first or behind `word`; None if it names none."""
    before = rf"(?:.*-)?{re.escape(word)}" if word else ""
    found = re.match(rf"{before}({_VERSION})(?![\w.])", tag)
    return found[1] if found else None


def is_among(asked: str, held: Iterable[str]) -> bool:
    """Whether a version is one of those held, as far as both of them say it: 1.9 is 1.9.1."""
    wanted = _numbers(asked)
    return any(all(a == b for a, b in zip(wanted, _numbers(one), strict=False)) for one in held)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.match(_VERSION, version)[0].split(".")]  # type: ignore[index]

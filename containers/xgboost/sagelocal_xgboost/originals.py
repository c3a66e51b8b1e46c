"""The original image that was asked for by name, for answers that changed with its version.

    <registry>/xgboost:1, :latest             version 0.72
    <registry>/sagemaker-xgboost:1.2-1        version 1.2, its first release; -cpu-py3 may follow

CSV answers of 1.2-1 and before have all predictions on one line, with commas between them. Releases
from April 2022 on, which are 1.2-2, 1.3-1 and later, have one a line (sagemaker-xgboost-container,
pull requests 269 to 271; the example notebooks followed, amazon-sagemaker-examples 3352).
"""

from __future__ import annotations

import re

IMAGE_VARIABLE = "SAGELOCAL_IMAGE"

_FIRST_WITH_LINES = (1, 2, 2)
_IN_REGISTRY = re.compile(
    r"[^/]+[.:][^/]*/(?P<repository>(?:sagemaker-)?xgboost):(?P<tag>[\w.-]+)(?:@.*)?"
)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:-(\d+))?(?![\w.])")
_TAGS_OF_0_72 = ("1", "latest")


def answers_on_one_line(image: str) -> bool:
    """Whether the original of this name joins its CSV predictions with commas.

    False for names that are none of the original's, and for no name.
    """
    found = _IN_REGISTRY.fullmatch(image)
    if found is None:
        return False
    if found["repository"] == "xgboost" and found["tag"] in _TAGS_OF_0_72:
        return True
    version = _VERSION.match(found["tag"])
    if version is None:
        return False
    major, minor, release = version.groups(default="1")
    return (int(major), int(minor), int(release)) < _FIRST_WITH_LINES

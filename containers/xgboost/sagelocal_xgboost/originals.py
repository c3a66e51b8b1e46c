"""The original image that was asked for by name, for what changed with its version.

    <registry>/xgboost:1, :latest             version 0.72
    <registry>/sagemaker-xgboost:1.2-1        version 1.2, its first release; -cpu-py3 may follow

CSV answers of 1.2-1 and before have all predictions on one line, with commas between them. Releases
from April 2022 on, which are 1.2-2, 1.3-1 and later, have one a line (sagemaker-xgboost-container,
pull requests 269 to 271; the example notebooks followed, amazon-sagemaker-examples 3352).

Up to version 1.2 the trained model is a pickled Booster, which notebooks open with `pickle.load`;
from 1.3 on it is what Booster.save_model writes (developer guide, "How to use SageMaker XGBoost").
"""

from __future__ import annotations

import re

IMAGE_VARIABLE = "SAGELOCAL_IMAGE"

_FIRST_WITH_LINES = (1, 2, 2)
_FIRST_WITHOUT_PICKLES = (1, 3, 1)
_IN_REGISTRY = re.compile(
    r"[^/]+[.:][^/]*/(?P<repository>(?:sagemaker-)?xgboost):(?P<tag>[\w.-]+)(?:@.*)?"
)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:-(\d+))?(?![\w.])")
_TAGS_OF_0_72 = ("1", "latest")
_0_72 = (0, 72, 1)


def answers_on_one_line(image: str) -> bool:
    """Whether the original of this name joins its CSV predictions with commas.

    False for names that are none of the original's, and for no name.
    """
    version = _version_of(image)
    return version is not None and version < _FIRST_WITH_LINES


def pickles_its_model(image: str) -> bool:
    """Whether the original of this name saves a pickled Booster; False as above."""
    version = _version_of(image)
    return version is not None and version < _FIRST_WITHOUT_PICKLES


def _version_of(image: str) -> tuple[int, int, int] | None:
    """XGBoost's major and minor version and the release of the original with this name."""
    found = _IN_REGISTRY.fullmatch(image)
    if found is None:
        return None
    if found["repository"] == "xgboost" and found["tag"] in _TAGS_OF_0_72:
        return _0_72
    version = _VERSION.match(found["tag"])
    if version is None:
        return None
    major, minor, release = version.groups(default="1")
    return int(major), int(minor), int(release)

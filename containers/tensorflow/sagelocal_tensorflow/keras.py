"""Which Keras a script gets as `tf.keras`: that of the TensorFlow which it was written for.

TensorFlow has had Keras 3 since 2.16, where `model.save(folder)` writes no SavedModel, `metric.
reset_states` is gone, and much else is. A job that names an older version, in the tag of its image
(`tensorflow-training:2.12.0-cpu-py310`), gets Keras 2, from the package tf_keras.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

IMAGE_VARIABLE = "SAGELOCAL_IMAGE"
"""The name by which the image was asked for; set by the control plane."""

_FIRST_WITH_KERAS_3 = (2, 16)
_VERSION = re.compile(r":(\d+)\.(\d+)(?![\w])")


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What TensorFlow reads when it is imported (its own name for Keras 2 is "legacy")."""
    version = _VERSION.search(environment.get(IMAGE_VARIABLE, ""))
    if version is None or (int(version[1]), int(version[2])) >= _FIRST_WITH_KERAS_3:
        return {}
    return {"TF_USE_LEGACY_KERAS": "1"}

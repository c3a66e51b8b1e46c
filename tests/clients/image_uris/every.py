"""Every image of the frameworks that the SDK's own configuration lists, as JSON lines.

Each version is asked for as training and as inference, on CPU and on GPU where it has both, and in
one region after the other, so that every region comes up, too.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

from sagemaker import image_uris, utils

INSTANCES = {"cpu": "ml.m5.xlarge", "gpu": "ml.p3.2xlarge"}
GRAVITON = "ml.c6g.xlarge"
# `retrieve` reads botocore's endpoints anew in each call: most of its time.
utils._botocore_resolver = functools.cache(utils._botocore_resolver)


def scopes(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of a framework's configuration that have versions, by image scope."""
    if "versions" in config:
        for scope in config["scope"]:
            yield scope, config
    else:
        yield from ((name, part) for name, part in config.items() if "versions" in part)


def leaves(entry: dict[str, Any], keys: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """What `retrieve` is given for an entry: below it are base frameworks, or Pythons."""
    if "registries" in entry:
        for python in entry.get("py_versions") or [None]:
            yield {**keys, "py_version": keys.get("py_version", python)}, entry
        return
    for name, part in entry.items():
        if isinstance(part, dict) and "registries" in part:
            key = "py_version" if name in ("py2", "py3") else "base_framework_version"
            yield from leaves(part, {**keys, key: name})


def processors(entry: dict[str, Any], part: dict[str, Any]) -> list[str]:
    named = entry.get("processors") or part.get("processors") or ["cpu"]
    return [name for name in named if name in INSTANCES]


for framework in sys.argv[1:]:
    turn = itertools.count()
    for scope, part in scopes(image_uris.config_for_framework(framework)):
        for version, listed in part["versions"].items():
            for keys, entry in leaves(listed, {}):
                for processor in processors(entry, part):
                    regions = list(entry["registries"])
                    uri = image_uris.retrieve(
                        framework,
                        regions[next(turn) % len(regions)],
                        version=version,
                        image_scope=scope,
                        instance_type=GRAVITON if "graviton" in scope else INSTANCES[processor],
                        accelerator_type="ml.eia1.medium" if scope == "eia" else None,
                        **keys,
                    )
                    print(json.dumps([framework, scope, version, uri]))

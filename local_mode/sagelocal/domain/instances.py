"""Instance types: what memory and how many processors and GPUs a container of theirs has.

Numbers are those of the Amazon EC2 instance type pages. Nearly every family has four vCPUs per
`xlarge` and a fixed amount of memory per vCPU; the tables below hold the families that differ, and
the GPUs of those that have any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

GIB = 1024**3


@dataclass(frozen=True)
class Instance:
    """One machine of an instance type."""

    vcpus: int
    memory_bytes: int
    gpus: int = 0


_SIZE = re.compile(r"^ml\.(?P<family>[a-z0-9-]+)\.(?P<size>medium|large|(?P<times>\d*)xlarge)$")
_GIB_PER_VCPU = {"c": 2, "inf1": 2, "r": 8, "g6e": 8, "gr6": 8, "x": 16, "u": 16}
_DEFAULT_GIB_PER_VCPU = 4
_EXCEPTIONS: dict[str, tuple[int, float]] = {
    "ml.t2.medium": (2, 4),
    "ml.t3.medium": (2, 4),
    "ml.c4.large": (2, 3.75),
    "ml.c4.xlarge": (4, 7.5),
    "ml.c4.2xlarge": (8, 15),
    "ml.c4.4xlarge": (16, 30),
    "ml.c4.8xlarge": (36, 60),
    "ml.p2.xlarge": (4, 61),
    "ml.p2.8xlarge": (32, 488),
    "ml.p2.16xlarge": (64, 732),
    "ml.p3.2xlarge": (8, 61),
    "ml.p3.8xlarge": (32, 244),
    "ml.p3.16xlarge": (64, 488),
    "ml.p3dn.24xlarge": (96, 768),
    "ml.p4d.24xlarge": (96, 1152),
    "ml.p4de.24xlarge": (96, 1152),
    "ml.p5.4xlarge": (16, 256),
    "ml.p5.48xlarge": (192, 2048),
    "ml.p5e.48xlarge": (192, 2048),
    "ml.p5en.48xlarge": (192, 2048),
    "ml.p6-b200.48xlarge": (192, 2048),
    "ml.trn2.48xlarge": (192, 2048),
}
# Sizes that are not listed have one GPU.
_GPUS: dict[str, dict[str, int]] = {
    "p2": {"8xlarge": 8, "16xlarge": 16},
    "p3": {"8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "p5": {"48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "p6-b300": {"48xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
    "g4dn": {"12xlarge": 4},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6e": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "gr6": {},
    "g7e": {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8},
}
# A type that is newer than this table: the middle of the road, so that the job still runs.
_UNKNOWN = Instance(4, 16 * GIB)


def instance(instance_type: str) -> Instance:
    """What `ml.m5.xlarge` and the like have.

    >>> instance("ml.m5.xlarge")
    Instance(vcpus=4, memory_bytes=17179869184, gpus=0)
    """
    gpus = _gpus(instance_type)
    if instance_type in _EXCEPTIONS:
        vcpus, gib = _EXCEPTIONS[instance_type]
        return Instance(vcpus, int(gib * GIB), gpus)
    match = _SIZE.match(instance_type)
    if match is None:
        return replace(_UNKNOWN, gpus=gpus)
    vcpus = 4 * int(match["times"] or 1) if match["size"].endswith("xlarge") else 2
    return Instance(vcpus, vcpus * _gib_per_vcpu(match["family"]) * GIB, gpus)


def _gpus(instance_type: str) -> int:
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    return _GPUS[family].get(size, 1) if family in _GPUS else 0


def _gib_per_vcpu(family: str) -> int:
    for prefix in (family, family[:1]):
        if prefix in _GIB_PER_VCPU:
            return _GIB_PER_VCPU[prefix]
    return _DEFAULT_GIB_PER_VCPU

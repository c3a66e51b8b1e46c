"""How many CPUs this container may use: the affinity mask, and the cgroup's quota if any."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_V2_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cpus() -> int:
    """At least 1. `docker run --cpus 1.5` on a large machine gives 2."""
    quota = _quota()
    allowed = len(os.sched_getaffinity(0))
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _quota() -> float | None:
    try:
        if CGROUP_V2_QUOTA.exists():
            limit, period = CGROUP_V2_QUOTA.read_text().split()
        else:
            limit, period = CGROUP_V1_QUOTA.read_text(), CGROUP_V1_PERIOD.read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None  # "max", or no such file: no quota

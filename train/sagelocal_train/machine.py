"""What this container may use of the machine: processors and accelerators."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""`QUOTA PERIOD` in microseconds, or `max PERIOD` (kernel documentation, "Control Group v2")."""


def cpu_count() -> int:
    """Processors this process may use at once: its affinity, or less by the container's limit."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, _cgroup_cpu_limit()))


def _cgroup_cpu_limit(path: Path = _CGROUP_CPU_LIMIT) -> int:
    try:
        quota, period = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 1 << 30
    return 1 << 30 if quota == "max" else math.ceil(int(quota) / int(period))


def gpu_count(devices: Path = Path("/dev"), variables: Mapping[str, str] = os.environ) -> int:
    """NVIDIA GPUs that the container was given: their device files, or fewer by the variable.

    CUDA ignores what follows a number that it does not know, -1 say (CUDA C++ Programming Guide,
    "CUDA Environment Variables").
    """
    there = sum(path.name[len("nvidia") :].isdigit() for path in devices.glob("nvidia[0-9]*"))
    shown = variables.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return there
    named = itertools.takewhile(
        lambda name: name and name != "-1", map(str.strip, shown.split(","))
    )
    return min(there, len(list(named)))


def neuron_core_count() -> int:
    """Neuron cores that the container was given; 0 without the Neuron tools."""
    command = shutil.which("neuron-ls")
    if command is None:
        return 0
    listed = subprocess.run([command, "-j"], capture_output=True, text=True, check=False)
    try:
        return sum(int(device["nc_count"]) for device in json.loads(listed.stdout))
    except (ValueError, KeyError, TypeError):
        return 0

"""The NVIDIA GPUs of this machine, by the device files that their driver makes."""

from __future__ import annotations

import os
from pathlib import Path


def gpu_count(devices: Path = Path("/dev")) -> int:
    """How many there are."""
    return sum(path.name.removeprefix("nvidia").isdigit() for path in devices.glob("nvidia[0-9]*"))


def visible(count: int | None) -> dict[str, str]:
    """The variable that lets a process of this machine see `count` of its GPUs and no other.

    (CUDA C++ Programming Guide, "CUDA Environment Variables".) None of them where there are no
    GPUs, or all may be seen (`count` is None). A bound that is on this process itself stays.
    """
    if count is None or not gpu_count():
        return {}
    own = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = own.split(",") if own else [str(number) for number in range(gpu_count())]
    return {"CUDA_VISIBLE_DEVICES": ",".join(numbers[:count])}

"""Memory and cpu limits of one container, where this user may make control groups.

Version 2 (one tree) and version 1 (a tree per controller) of the kernel's control groups differ in
file names only (kernel documentation, "Control Group v2" and "Memory Resource Controller").
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

ROOT = "/sys/fs/cgroup"
_CPU_PERIOD_US = 100_000


class Cgroup:
    """The directories that hold one container's processes; `directories` may be empty."""

    def __init__(self, directories: dict[str, str], unified: bool) -> None:
        self.directories = directories
        self._unified = unified

    @classmethod
    def create(cls, name: str, memory_bytes: int | None, cpus: float | None) -> Cgroup:
        """Make what this user may make of the limits asked for; the rest is left out."""
        wanted = [key for key, value in (("memory", memory_bytes), ("cpu", cpus)) if value]
        group = cls({}, unified=os.path.exists(f"{ROOT}/cgroup.controllers"))
        for controller in wanted:
            with contextlib.suppress(OSError):
                group._add(controller, name, memory_bytes, cpus)
        return group

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel holds the container to its memory."""
        return "memory" in self.directories

    def join(self) -> None:
        """Move the calling process in."""
        for directory in self.directories.values():
            _write(f"{directory}/cgroup.procs", "0")

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed a process of the group because the memory was used up."""
        if not self.limits_memory:
            return False
        name = "memory.events" if self._unified else "memory.oom_control"
        try:
            with open(f"{self.directories['memory']}/{name}", encoding="ascii") as file:
                counts = dict(line.split() for line in file)
        except OSError:
            return False
        return int(counts.get("oom_kill", "0")) > 0

    def remove(self) -> None:
        """Take the directories away, once all their processes have ended."""
        for directory in set(self.directories.values()):
            remove_directory(directory)

    def _add(
        self, controller: str, name: str, memory_bytes: int | None, cpus: float | None
    ) -> None:
        parent = _parent(controller, self._unified)
        directory = f"{parent}/sagelocal-{name}"
        if self._unified:
            _write(f"{parent}/cgroup.subtree_control", f"+{controller}")
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory)
        try:
            if controller == "memory" and memory_bytes:
                self._limit_memory(directory, memory_bytes)
            elif cpus:
                self._limit_cpus(directory, cpus)
        except OSError:
            remove_directory(directory)
            raise
        self.directories[controller] = directory

    def _limit_memory(self, directory: str, size: int) -> None:
        limit, swap, swap_size = (
            ("memory.max", "memory.swap.max", 0)
            if self._unified
            else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", size)
        )
        _write(f"{directory}/{limit}", str(size))
        # Kernels without swap accounting lack the second file; they do not swap the group either.
        with contextlib.suppress(OSError):
            _write(f"{directory}/{swap}", str(swap_size))

    def _limit_cpus(self, directory: str, cpus: float) -> None:
        quota = int(cpus * _CPU_PERIOD_US)
        if self._unified:
            _write(f"{directory}/cpu.max", f"{quota} {_CPU_PERIOD_US}")
        else:
            _write(f"{directory}/cpu.cfs_period_us", str(_CPU_PERIOD_US))
            _write(f"{directory}/cpu.cfs_quota_us", str(quota))


def remove_directory(directory: str) -> None:
    """Remove a control group; the kernel lets go of its last process a moment after its end."""
    for _ in range(50):
        try:
            os.rmdir(directory)
        except OSError as error:
            if error.errno != errno.EBUSY:
                return
            time.sleep(0.01)
        else:
            return


def _parent(controller: str, unified: bool) -> str:
    """Where a group may be made: in our own (version 1), or beside it.

    Version 2 does not let a group hold both processes and limited groups, but for the root.
    """
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        entries = [line.rstrip("\n").split(":", 2) for line in file]
    for _, controllers, path in entries:
        if unified and not controllers:
            return (ROOT + os.path.dirname(path)).rstrip("/")
        if not unified and controller in controllers.split(","):
            return f"{ROOT}/{controller}{path}".rstrip("/")
    raise FileNotFoundError(errno.ENOENT, "no control group for", controller)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)

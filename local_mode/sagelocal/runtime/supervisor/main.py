"""Start one container as processes, relay its output to its log, and write down how it ended.

    sagelocal (the plane)        supervisor, in a session of its own      the container
      start ── spec.json ──────▶ reads it, forks ───────────────────────▶ namespaces, exec
            ◀─ one line ──────── state.json                               │ stdout, stderr
      stop  ── SIGTERM ────────▶ passed on to the main process only ─────▶│
            ── SIGUSR2 ────────▶ SIGKILL ────────────────────────────────▶│
      wait  ◀─ exit.json ─────── everything below is killed, log complete ◀┘

As in a container, the main process's end ends the others. If the supervisor itself is killed, the
kernel kills the main process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

from sagelocal.runtime.supervisor import linux, mounts, namespaces, proc
from sagelocal.runtime.supervisor.cgroups import Cgroup
from sagelocal.runtime.supervisor.loglines import LogFile

KILL_SIGNAL = signal.SIGUSR2
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_READ_BYTES = 1 << 16
_WATCH_SECONDS = 1.0
_DRAIN_SECONDS = 5.0


class CannotStart(Exception):
    """The container's main process could not be started; the text says why."""


class Supervisor:
    """One container's life. `folder` holds spec.json and gets state.json and exit.json."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with open(f"{folder}/spec.json", encoding="utf-8") as file:
            self._spec: dict[str, Any] = json.load(file)
        self._log = LogFile(self._spec["log"])
        self._cgroup = Cgroup.create(
            self._spec["name"], self._spec["memory_bytes"], self._spec["cpus"]
        )
        self._child = 0
        self._wakeups = -1
        self._status: int | None = None
        self._out_of_memory = False
        self._output, self._output_end = os.pipe2(os.O_CLOEXEC)

    def start(self) -> None:
        """Start the main process and write state.json. Raises CannotStart."""
        refusal = self._launch(private=True)
        if refusal is not None:
            if self._spec["isolated"]:
                raise CannotStart(f"this machine does not allow a network of its own ({refusal})")
            if self._spec["network"]:
                raise CannotStart(
                    "the hosts of a job find one another by an /etc/hosts of their own, which this "
                    f"machine does not allow ({refusal}); use Docker or one instance"
                )
            self._log.line(
                f"sagelocal: this machine does not allow a private /opt/ml ({refusal}); "
                f"it is at SAGEMAKER_BASE_DIR={self._spec['opt_ml']} instead"
            )
            self._link_opt_ml()
            refusal = self._launch(private=False)
            if refusal is not None:
                raise CannotStart(refusal)
        os.close(self._output_end)
        # Before anybody can know whom to signal: what comes from now on must not be lost.
        self._wakeups, wakeups_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeups_end, warn_on_full_buffer=False)
        self._write_state()

    def discard(self) -> None:
        """Give up what was made for a container that did not start."""
        self._cgroup.remove()
        self._log.close()

    def run(self) -> None:
        """Relay until the main process has ended, end the others, and write exit.json."""
        self._reap()  # It may have ended before SIGCHLD was heard.
        watched = self._spec["memory_bytes"] is not None and not self._cgroup.limits_memory
        waiting = select.poll()
        waiting.register(self._output, select.POLLIN)
        waiting.register(self._wakeups, select.POLLIN)
        while self._status is None:
            for descriptor, _ in waiting.poll(_WATCH_SECONDS * 1000 if watched else None):
                if descriptor == self._wakeups:
                    self._handle_signals(os.read(self._wakeups, 4096))
                elif not self._relay():
                    waiting.unregister(self._output)
            if watched:
                self._watch_memory()
        ended_at = time.time()
        self._kill_the_rest()
        self._drain()
        self._log.close()
        self._write_exit(ended_at)
        self._cgroup.remove()

    def _launch(self, private: bool) -> str | None:
        """Fork and exec; None, or why the namespaces were refused. Raises CannotStart."""
        reports, reports_end = os.pipe2(os.O_CLOEXEC)
        self._child = os.fork()
        if self._child == 0:
            self._become_container(reports_end, private)
        os.close(reports_end)
        with open(reports, encoding="utf-8") as file:
            report = file.read()
        if not report:
            return None
        os.waitpid(self._child, 0)
        step, _, reason = report.partition(":")
        if step == "namespaces":
            return reason
        raise CannotStart(reason)

    def _become_container(self, reports: int, private: bool) -> None:
        """In the child: never returns."""
        step = "namespaces"
        try:
            os.setsid()
            self._cgroup.join()
            if private:
                self._enter_namespaces()
            step = "exec"
            linux.die_with_parent(signal.SIGKILL)
            self._redirect()
            os.chdir(self._spec["directory"])
            environment = dict(self._spec["environment"])
            if not private:
                environment["SAGEMAKER_BASE_DIR"] = self._spec["opt_ml"]
            for number in (*_PASSED_ON, signal.SIGHUP, signal.SIGPIPE, KILL_SIGNAL, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            argv = self._spec["argv"]
            os.execvpe(argv[0], argv, environment)
        except BaseException as error:
            reason = str(error)
            if step == "exec" and isinstance(error, OSError):
                reason = f"{self._spec['argv'][0]!r}: {os.strerror(error.errno or 0)}"
            os.write(reports, f"{step}:{reason}".encode(errors="replace"))
        finally:
            os._exit(127)

    def _enter_namespaces(self) -> None:
        spec = self._spec
        peers = [namespaces.Peer(*peer) for peer in spec["peers"]]
        namespaces.enter(spec["hostname"], spec["isolated"], peers)
        mounts.mount_all(spec["scratch"], spec["opt_ml"], self._binds())
        if spec["hosts_file"]:
            mounts.mount_file(spec["hosts_file"], "/etc/hosts")

    def _link_opt_ml(self) -> None:
        """Put symbolic links into our own /opt/ml where there can be no mounts."""
        try:
            mounts.link_instead(self._spec["opt_ml"], self._binds())
        except OSError as error:
            raise CannotStart(str(error)) from error

    def _binds(self) -> list[mounts.Bind]:
        return [mounts.Bind(*bind) for bind in self._spec["binds"]]

    def _redirect(self) -> None:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(self._output_end, 1)
        os.dup2(self._output_end, 2)

    def _handle_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            elif number == KILL_SIGNAL:
                proc.kill(self._child)
            elif self._status is None:
                proc.kill(self._child, number)

    def _reap(self) -> None:
        """Collect ended children: the main process, and orphans that were left to us."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._child:
                    self._status = status

    def _relay(self) -> bool:
        """Move what the container wrote to its log; False at the end of all output."""
        data = os.read(self._output, _READ_BYTES)
        self._log.feed(data)
        return bool(data)

    def _watch_memory(self) -> None:
        """Where no control group may be made, do what the kernel would: kill what takes more."""
        pids = proc.descendants(os.getpid())
        if sum(map(proc.private_bytes, pids)) > self._spec["memory_bytes"]:
            self._out_of_memory = True
            proc.kill(self._child)

    def _kill_the_rest(self) -> None:
        """Kill every descendant: an orphan becomes our child when its parent ends."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while (below := proc.children(os.getpid())) and time.monotonic() < deadline:
            for pid in below:
                proc.kill(pid)
            self._reap()
            time.sleep(0.002)

    def _drain(self) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._output], [], [], left)
            if not ready or not self._relay():
                return

    def _write_state(self) -> None:
        own = os.getpid()
        _write_json(
            f"{self._folder}/state.json",
            {
                "supervisor": own,
                "supervisor_started": proc.start_time(own),
                "child": self._child,
                "child_started": proc.start_time(self._child),
                "boot": proc.boot_id(),
                "port": self._spec["port"],
                "cgroups": sorted(set(self._cgroup.directories.values())),
            },
        )

    def _write_exit(self, ended_at: float) -> None:
        code = os.waitstatus_to_exitcode(self._status or 0)
        for_memory = self._out_of_memory or self._cgroup.killed_for_memory()
        _write_json(
            f"{self._folder}/exit.json",
            {
                "code": code if code >= 0 else 128 - code,
                "out_of_memory": for_memory and code != 0,
                "ended_at": ended_at,
                "log_fault": self._log.fault,
            },
        )


def _write_json(path: str, value: dict[str, Any]) -> None:
    """All of it or nothing is there, whenever somebody looks."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.rename(f"{path}.new", path)


def _nothing(_number: int, _frame: object) -> None:
    """Signals are read from the wake-up pipe; a handler must be there for them to get that far."""


def _listen() -> None:
    for number in (*_PASSED_ON, KILL_SIGNAL, signal.SIGCHLD):
        signal.signal(number, _nothing)
    for number in (signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def _report(text: str) -> None:
    """The one line that the plane waits for; nobody may be there any more to read it."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, text.encode(errors="replace"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)


def main(folder: str) -> None:
    """Become the supervisor of the container that `folder` describes."""
    # The plane must not have to reap us, nor we become a zombie of one that is gone.
    if os.fork():
        os._exit(0)
    os.chdir("/")
    # What the plane handed down (the environment's lock) is for us to hold, not for the container.
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.set_inheritable(int(descriptor), int(descriptor) < 3)
    _listen()
    linux.adopt_orphans()
    supervisor = Supervisor(folder)
    try:
        supervisor.start()
    except CannotStart as error:
        supervisor.discard()
        _report(f"error {error}")
        sys.exit(1)
    _report("started")
    supervisor.run()

"""Run the script under mpirun: the first host starts the processes, the others lend themselves.

    algo-1 (master)                                algo-2, ... (workers)
      waits until each worker answers by SSH  ◀────  sshd, once their source is installed
      mpirun --host algo-1:2,algo-2:2 ...     ────▶  their processes
      the exit code to /tmp/done.algo-1       ────▶  sshd ends, and the container with it

The command line and the roles are the SageMaker training toolkit's. Hosts of an image trust one
another by a key pair that is in the image. Beyond the original, every variable of the script's
process reaches the other hosts, and those that tell a host who it is stay its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from sagelocal_train.entry_point import Kind
from sagelocal_train.environment import Environment
from sagelocal_train.errors import PlatformError, ScriptError
from sagelocal_train.launchers import find_program, processes_per_host

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60 * 60.0
"""How long the master waits for a worker: a large source takes its time to install."""

HOST_VARIABLES = (
    "CURRENT_HOST",
    "SM_CURRENT_HOST",
    "SM_CURRENT_INSTANCE_GROUP",
    "SM_CURRENT_INSTANCE_TYPE",
)
"""What is another host's own and must not be the master's there."""

_MACHINE_VARIABLES = frozenset({"HOME", "HOSTNAME", "OLDPWD", "PWD", "SHLVL", "_"})
# mpirun gives each process a terminal, so Python writes whole lines at once. Unbuffered it would
# write parts of lines, which mpirun would mix with those of other processes.
_UNBUFFERED = "PYTHONUNBUFFERED"
_LAUNCHER_PREFIXES = ("OMPI_", "PMIX_", "PRTE_")
_SSH_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
)
_PAUSE_SECONDS = 0.25
_FAREWELL_SECONDS = 30.0
_TAG = re.compile(rb"^\[(\d+),(\d+)\]<(stdout|stderr)>:", re.MULTILINE)
_RANK = re.compile(r"^\[\d+,mpirank:(\d+),[^\]]*\]<stderr>:(.*)$")


def script_command(kind: Kind, name: str, arguments: Sequence[str], has_mpi4py: bool) -> list[str]:
    """What each process runs. With mpi4py an error in one process ends all of them at once."""
    if kind is Kind.COMMAND:
        return ["/bin/sh", "-c", 'exec "$0" "$@"', f"./{name}", *arguments]
    python = [sys.executable, *(("-m", "mpi4py") if has_mpi4py else ())]
    if kind is Kind.PACKAGE:
        return [*python, "-m", name.removesuffix(".py").replace("/", "."), *arguments]
    return [*python, name, *arguments]


def has_mpi4py() -> bool:
    """Whether this Python has it."""
    return importlib.util.find_spec("mpi4py") is not None


def command(
    environment: Environment, script: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """The master's mpirun; `variables` are the script's, which go along by their names."""
    settings = environment.framework_parameters
    hosts, interface = environment.distribution_hosts, environment.resources.network_interface
    slots = _slots(environment)
    processes = settings.get("sagemaker_mpi_num_processes") or slots * len(hosts)
    options = [
        *("--host", ",".join(f"{host}:{slots}" for host in hosts)),
        *("-np", str(processes)),
        *("--allow-run-as-root", "--display-map", "--tag-output"),
        *("-mca", "btl_tcp_if_include", interface),
        *("-mca", "oob_tcp_if_include", interface),
        *("-mca", "plm_rsh_no_tree_spawn", "1"),
        *("-bind-to", "none", "-map-by", "slot"),
        *("-mca", "pml", "ob1", "-mca", "btl", "^openib"),
        *("-mca", "orte_abort_on_non_zero_status", "1"),
        *("-mca", "btl_vader_single_copy_mechanism", "none"),
        *("-x", f"NCCL_SOCKET_IFNAME={interface}"),
        *shlex.split(str(settings.get("sagemaker_mpi_custom_mpi_options") or "")),
    ]
    given = {after.partition("=")[0] for before, after in pairwise(options) if before == "-x"}
    names = sorted(name for name in variables if _goes_along(name) and name not in given)
    exports = [part for name in names for part in ("-x", name)]
    return ["mpirun", *options, *exports, *script]


def launcher_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """For mpirun's own process: SSH that asks nobody anything."""
    own = {name: value for name, value in variables.items() if name != _UNBUFFERED}
    return {"OMPI_MCA_plm_rsh_args": " ".join(_SSH_OPTIONS), **own}


def name_hosts(environment: Environment) -> Callable[[bytes], bytes]:
    """Rewrites mpirun's tags from `[1,2]<stdout>:` to `[1,mpirank:2,algo-2]<stdout>:`."""
    hosts, slots = environment.distribution_hosts, _slots(environment)

    def named(found: re.Match[bytes]) -> bytes:
        job, rank, stream = found.groups()
        host = hosts[min(int(rank) // slots, len(hosts) - 1)].encode()
        return b"[%b,mpirank:%b,%b]<%b>:" % (job, rank, host, stream)

    return lambda lines: _TAG.sub(named, lines)


def untangle(standard_error: str) -> str:
    """What each process said by itself, without tags; mpirun's own words come first."""
    words: dict[int, list[str]] = {-1: []}
    for line in standard_error.splitlines():
        found = _RANK.match(line)
        rank, text = (int(found[1]), found[2]) if found else (-1, line)
        words.setdefault(rank, []).append(text)
    return "\n".join(line for rank in sorted(words) for line in words[rank])


@contextlib.contextmanager
def master(environment: Environment) -> Iterator[Callable[[int], None]]:
    """The master's part around mpirun; what it gives takes mpirun's exit code for the workers.

    Raises PlatformError for a worker that does not answer, ScriptError for one that refuses.
    """
    workers = [host for host in environment.distribution_hosts if host != environment.current_host]
    code = 1

    def ended(exit_code: int) -> None:
        nonlocal code
        code = exit_code

    for worker in workers:
        _await_ssh(worker)
    try:
        yield ended
    finally:
        for worker in workers:
            _dismiss(worker, environment.master_host, code)


def serve_as_worker(environment: Environment) -> int:
    """Let the master start processes here until it is done; mpirun's exit code."""
    done = _done_file(environment.master_host)
    done.unlink(missing_ok=True)
    with _ssh_daemon(environment) as daemon:
        logger.info("Waiting for MPI processes of %s", environment.master_host)
        while not (said := _read(done)):
            if daemon.poll() is not None:
                raise ScriptError(f"sshd ended with exit code {daemon.returncode}; see the log")
            time.sleep(_PAUSE_SECONDS)
    return int(said)


def _slots(environment: Environment) -> int:
    name = "sagemaker_mpi_num_of_processes_per_host"
    asked = environment.framework_parameters.get(name) or processes_per_host(environment)
    if not isinstance(asked, int) or asked < 1:
        raise ScriptError(f"{name} is {asked!r}, and must be a number of processes, 1 or more")
    return asked


def _goes_along(name: str) -> bool:
    own = name in _MACHINE_VARIABLES or name in HOST_VARIABLES or name == _UNBUFFERED
    return not own and not name.startswith(_LAUNCHER_PREFIXES)


def _done_file(master_host: str) -> Path:
    return Path(f"/tmp/done.{master_host}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _await_ssh(host: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        tried = _ssh(host, "true")
        if tried.returncode == 0:
            return
        if "Permission denied" in tried.stderr:
            raise ScriptError(
                f"{host} does not let mpirun in ({tried.stderr.strip()}): an image for MPI on "
                "several hosts needs a key pair of its own, made by `ssh-keygen -N '' -f "
                "~/.ssh/id_rsa && cp ~/.ssh/id_rsa.pub ~/.ssh/authorized_keys` in its Dockerfile"
            )
        if time.monotonic() > deadline:
            raise PlatformError(
                f"The worker {host} did not answer by SSH within {WAIT_SECONDS:.0f} s "
                f"({tried.stderr.strip() or tried.returncode}); its log says what it was doing"
            )
        time.sleep(_PAUSE_SECONDS)


def _dismiss(worker: str, master_host: str, code: int) -> None:
    """A worker that is gone needs no farewell."""
    done = _done_file(master_host)
    with contextlib.suppress(subprocess.TimeoutExpired):
        # Moved into place: the worker must not read half of it.
        _ssh(worker, f"echo {code} >{done}.new && mv {done}.new {done}", _FAREWELL_SECONDS)


def _ssh(
    host: str, remote: str, timeout_seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", *_SSH_OPTIONS, host, remote],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )


@contextlib.contextmanager
def _ssh_daemon(environment: Environment) -> Iterator[subprocess.Popen[bytes]]:
    program = find_program("sshd") or "sshd"
    # sshd wants it to be there, and /run is empty in a container.
    with contextlib.suppress(OSError):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    variables = environment.other_variables() | environment.to_env_vars()
    own = {name: variables[name] for name in HOST_VARIABLES}
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in own.items())
    daemon = subprocess.Popen([program, "-D", "-e", "-o", f"SetEnv={settings}"])
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.wait()

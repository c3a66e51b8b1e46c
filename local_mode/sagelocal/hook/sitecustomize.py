"""Runs at the start of every Python below `sagelocal exec`: what AWS_ENDPOINT_URL cannot do.

Python imports a module of this name by itself when it finds one on its path. This one changes no
file and imports no client; it waits for a client to be imported and then changes four things:

- botocore: a client that asks for a built-in AWS address (`https://sts.us-east-1.amazonaws.com`, as
  the SageMaker SDK does for STS) is sent where AWS_ENDPOINT_URL says.
- botocore's waiters and the SDK's waiting loops look every SAGELOCAL_POLL_SECONDS (0.25) instead
  of every 5 to 120 seconds; how long they wait in all stays as it was. `0` leaves them alone.
- the SDK's telemetry, which calls an address on the internet, is not sent.
- botocore does not log for every client that AWS_ENDPOINT_URL is set: where a notebook shows INFO,
  it would stand in the middle of a job's log.

It needs nothing but the standard library, as it runs in the user's own environment, and of that
only what starts fast: `importlib.abc` and `importlib.util` would import `typing`.
"""

from __future__ import annotations

import importlib.machinery
import math
import os
import re
import sys

TYPE_CHECKING = False  # spares every Python that starts the import of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

AWS_ADDRESS = re.compile(r"^https://[a-z0-9.-]+\.amazonaws\.com(\.cn)?/?$")
# The SDK 3.x is in the packages sagemaker.core, .train and .serve; sagemaker_core is what 2.x
# brings of it.
WAITING_MODULES = (
    "sagemaker.core.common_utils",
    "sagemaker.core.local.entities",
    "sagemaker.core.resources",
    "sagemaker.serve.mode.local_container_mode",
    "sagemaker_core.main.resources",
)
TELEMETRY_MODULES = (
    "sagemaker.telemetry.telemetry_logging",
    "sagemaker.core.telemetry.telemetry_logging",
    "sagemaker.serve.utils.telemetry_logger",
    "sagemaker_core.main.telemetry.telemetry_logging",
)
TELEMETRY_SENDERS = ("_send_telemetry_request", "_send_telemetry")


def poll_seconds() -> float:
    """The longest a client sleeps between two looks, in seconds; 0 leaves the clients' own."""
    try:
        return float(os.environ.get("SAGELOCAL_POLL_SECONDS", "0.25"))
    except ValueError:
        return 0.25


def send_to_endpoint_variable(module: Any) -> None:
    """botocore.session: drop a built-in AWS address, so that AWS_ENDPOINT_URL is obeyed."""
    original = module.Session.create_client

    def create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        address = kwargs.get("endpoint_url")
        if address and os.environ.get("AWS_ENDPOINT_URL") and AWS_ADDRESS.match(address):
            kwargs["endpoint_url"] = None
        return original(self, *args, **kwargs)

    module.Session.create_client = create_client


def look_more_often(module: Any) -> None:
    """botocore.waiter: the same total time in more, shorter steps."""
    original = module.Waiter.wait

    def wait(self: Any, **kwargs: Any) -> Any:
        poll = poll_seconds()
        config = dict(kwargs.pop("WaiterConfig", None) or {})
        delay = config.get("Delay", self.config.delay)
        attempts = config.get("MaxAttempts", self.config.max_attempts)
        if 0 < poll < delay:
            config = {"Delay": poll, "MaxAttempts": max(1, math.ceil(delay * attempts / poll))}
        return original(self, WaiterConfig=config, **kwargs)

    module.Waiter.wait = wait


class Moment(float):
    """A time, in seconds since 1970, that knows how much sleep was cut before it.

    As a date, and against a deadline, it is the real time. The difference of two moments counts
    the sleep that was cut: what a loop does every 30 seconds of its own sleep, it does as often.
    """

    cut: float

    def __sub__(self, other: float) -> float:
        return float(self) - float(other) + self.cut - getattr(other, "cut", self.cut)


class ShortSleeps:
    """Stands for the `time` module inside a client's module: the same, with shorter sleeps."""

    def __init__(self, time: Any) -> None:
        self._time = time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._time, name)

    def sleep(self, seconds: float) -> None:
        poll = poll_seconds()
        self._time.sleep(min(seconds, poll) if poll > 0 else seconds)


class ShortSleepsAndMoments(ShortSleeps):
    """The same for a module that measures its own sleep as a difference of times."""

    cut = 0.0

    def sleep(self, seconds: float) -> None:
        begin = self._time.time()
        super().sleep(seconds)
        self.cut += max(0.0, seconds - (self._time.time() - begin))

    def time(self) -> Moment:
        moment = Moment(self._time.time())
        moment.cut = self.cut
        return moment


def sleep_less(module: Any) -> None:
    """A module that waits in loops of `time.sleep`: each sleep is cut short."""
    if hasattr(module, "time"):
        module.time = ShortSleeps(module.time)


def sleep_less_and_look_as_often(module: Any) -> None:
    """The SDK's tails of logs, which ask how a job is only every 30 seconds by the clock."""
    if hasattr(module, "time"):
        module.time = ShortSleepsAndMoments(module.time)


def sleep_less_before_logs(module: Any) -> None:
    """The SDK 3.x's session: its own loops, and the poll that other modules take from here.

    ModelBuilder sleeps for it in a function that imports `time` itself.
    """
    sleep_less_and_look_as_often(module)
    if 0 < poll_seconds() < getattr(module, "EP_LOGGER_POLL", 0):
        module.EP_LOGGER_POLL = poll_seconds()


def send_no_telemetry(module: Any) -> None:
    """The SDK's telemetry modules: the one function that sends does nothing."""
    for name in TELEMETRY_SENDERS:
        if hasattr(module, name):
            setattr(module, name, lambda *args, **kwargs: None)


def say_nothing_of_the_address(module: Any) -> None:
    """botocore.configprovider: without its "Found endpoint for s3 via: environment_global"."""
    module.logger.addFilter(lambda record: "Found endpoint for" not in str(record.msg))


CHANGES: dict[str, Callable[[Any], None]] = {
    "botocore.configprovider": say_nothing_of_the_address,
    "botocore.session": send_to_endpoint_variable,
    "botocore.waiter": look_more_often,
    "sagemaker.core.helper.session_helper": sleep_less_before_logs,
    "sagemaker.core.processing": sleep_less_and_look_as_often,
    "sagemaker.core.transformer": sleep_less_and_look_as_often,
    "sagemaker.session": sleep_less_and_look_as_often,
    **dict.fromkeys(WAITING_MODULES, sleep_less),
    **dict.fromkeys(TELEMETRY_MODULES, send_no_telemetry),
}


class ChangingLoader:
    """Loads a module as its own loader does, then applies the change that waits for it."""

    def __init__(self, loader: Any, change: Callable[[Any], None]) -> None:
        self._loader = loader
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


class ChangingFinder:
    """Finds the modules named in CHANGES where they are, and wraps their loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = CHANGES.get(name)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = ChangingLoader(spec.loader, change)  # type: ignore[assignment]
        return spec


def run_hidden_sitecustomize() -> None:
    """Run the `sitecustomize` that this file hides, if the environment has one of its own."""
    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = type(sys)(spec.name)
        module.__file__ = spec.origin
        module.__spec__ = spec
        spec.loader.exec_module(module)


sys.meta_path.insert(0, ChangingFinder())
run_hidden_sitecustomize()

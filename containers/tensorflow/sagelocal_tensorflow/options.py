"""The SAGEMAKER_TFS_* variables that have a meaning here (README.md lists them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sagelocal_serve.batching import Batching
from sagelocal_serve.settings import SettingsError

Value = TypeVar("Value")

_BATCH_SIZE, _BATCH_MICROSECONDS = 8, 1000


@dataclass(frozen=True)
class Options:
    """How SavedModels are served. Threads of 0 leave the number to TensorFlow."""

    default_model_name: str | None = None
    batching: Batching = field(default_factory=Batching)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    instances: int | None = None
    script_threads: int = 1

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Options:
        """Those of an environment; raises SettingsError."""

        def of(name: str, parse: Callable[[str], Value], default: Value, expects: str) -> Value:
            text = environ.get(name, "").strip()
            if not text:
                return default
            try:
                return parse(text)
            except ValueError as error:
                raise SettingsError(f"{name}={text!r}: expected {expects}") from error

        count = "a whole number"
        batching = Batching()
        if of("SAGEMAKER_TFS_ENABLE_BATCHING", _flag, False, "true or false"):
            size = of("SAGEMAKER_TFS_MAX_BATCH_SIZE", _at_least(1), _BATCH_SIZE, count)
            wait = of(
                "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS", _at_least(0), _BATCH_MICROSECONDS, count
            )
            batching = Batching(size, wait / 1000)
        name = environ.get("SAGEMAKER_TFS_DEFAULT_MODEL_NAME", "").strip()
        return cls(
            default_model_name=None if name in ("", "None") else name,
            batching=batching,
            intra_op_threads=of("SAGEMAKER_TFS_INTRA_OP_PARALLELISM", _at_least(0), 0, count),
            inter_op_threads=of("SAGEMAKER_TFS_INTER_OP_PARALLELISM", _at_least(0), 0, count),
            instances=of("SAGEMAKER_TFS_INSTANCE_COUNT", _at_least(1), None, count),
            script_threads=of("SAGEMAKER_GUNICORN_THREADS", _at_least(1), 1, count)
            * of("SAGEMAKER_GUNICORN_WORKERS", _at_least(1), 1, count),
        )


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise ValueError(text)
        return value

    return parse


def _flag(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]

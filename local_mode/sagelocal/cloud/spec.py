"""job.toml as values: what is to run, without where.

`read_spec(text, file, folder)` gives a `TrainingSpec`, an `EndpointSpec` or a `TransformSpec`, or
raises SpecError with everything that is wrong, each with its line. Local paths are relative to the
file's folder; whether they exist is looked at here too, since a spec is no use without its data.
The names of the keys, and what each becomes in the AWS API, are in local_mode/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sagelocal.cloud.errors import Problem, SpecError
from sagelocal.cloud.tables import Table, read
from sagelocal.domain.names import S3Uri

Kind = Literal["training", "endpoint", "transform"]
KINDS = ("training", "endpoint", "transform")
INPUT_MODES = ("File", "FastFile", "Pipe")
DEFAULT_MAX_RUN_SECONDS = 86_400
DEFAULT_VOLUME_GB = 30
DEFAULT_OUTPUT_FOLDER = "model-output"
DEFAULT_VARIANT = "AllTraffic"

Source = Path | S3Uri


@dataclass(frozen=True)
class Instances:
    """What it runs on."""

    type: str
    count: int = 1


@dataclass(frozen=True)
class Common:
    """What every kind has. `image` is an ECR URI, or a name that is looked for in ECR."""

    name: str
    image: str
    role: str | None
    region: str | None
    environment: Mapping[str, str] = field(repr=False)
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Channel:
    """Input data of a training job."""

    name: str
    source: Source
    content_type: str | None = None
    input_mode: str | None = None
    compression: str | None = None
    distribution: str = "FullyReplicated"
    data_type: str = "S3Prefix"


@dataclass(frozen=True)
class Limits:
    """Seconds, and whether spot instances are used; `max_wait_seconds` is for those."""

    max_run_seconds: int = DEFAULT_MAX_RUN_SECONDS
    max_wait_seconds: int | None = None
    spot: bool = False


@dataclass(frozen=True)
class Checkpoints:
    """Where a job's checkpoints are kept, and the folder of the container they come from."""

    s3: S3Uri
    path: str | None = None


@dataclass(frozen=True)
class TrainingSpec:
    """A training job. `output` is where it uploads to, `folder` where its results go here."""

    common: Common
    channels: tuple[Channel, ...]
    hyperparameters: Mapping[str, str]
    instances: Instances
    volume_gb: int
    limits: Limits
    output: S3Uri | None
    folder: Path
    compressed: bool
    input_mode: str
    network_isolation: bool
    metrics: Mapping[str, str]
    checkpoints: Checkpoints | None
    kind: Kind = "training"


@dataclass(frozen=True)
class Serverless:
    """An endpoint without instances."""

    memory_mb: int
    max_concurrency: int


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint of one variant, which is either on instances or serverless."""

    common: Common
    model: Source | None
    variant: str
    compute: Instances | Serverless
    network_isolation: bool
    startup_timeout_seconds: int | None
    kind: Kind = "endpoint"


@dataclass(frozen=True)
class TransformSpec:
    """A batch transform job."""

    common: Common
    model: Source | None
    input: Source
    content_type: str | None
    split: str | None
    compression: str | None
    accept: str | None
    assemble: str | None
    strategy: str | None
    max_payload_mb: int | None
    max_concurrent: int | None
    instances: Instances
    output: S3Uri | None
    folder: Path
    kind: Kind = "transform"


Spec = TrainingSpec | EndpointSpec | TransformSpec


def load_spec(path: Path) -> Spec:
    """The spec in a file. Raises SpecError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(
            str(path), [Problem(None, error.strerror or "it cannot be read")]
        ) from error
    except UnicodeDecodeError as error:
        raise SpecError(str(path), [Problem(None, "it is not UTF-8 text")]) from error
    return read_spec(text, str(path), path.parent)


def read_spec(text: str, file: str, folder: Path) -> Spec:
    """The spec that a text is. Raises SpecError."""
    table, problems = read(text, file)
    kind = table.text("kind", "training", KINDS)
    spec = _READERS.get(kind, _training)(table, folder)
    table.close()
    if problems.found:
        raise SpecError(file, sorted(problems.found, key=lambda each: each.line or 0))
    return spec


def _common(table: Table) -> Common:
    return Common(
        name=table.text("name"),
        image=table.text("image"),
        role=table.text("role", None),
        region=table.text("region", None),
        environment=table.strings("environment"),
        tags=table.strings("tags"),
    )


def _training(table: Table, folder: Path) -> TrainingSpec:
    common = _common(table)
    instance, output = table.table("instance"), table.table("output")
    spec = TrainingSpec(
        common,
        channels=_channels(table.table("data"), folder),
        hyperparameters=table.strings("hyperparameters"),
        instances=_instances(instance),
        volume_gb=instance.number("volume_gb", DEFAULT_VOLUME_GB),
        limits=_limits(table.table("limits")),
        output=_s3(output, "s3"),
        folder=folder / output.text("folder", DEFAULT_OUTPUT_FOLDER),
        compressed=output.flag("compressed", True),
        input_mode=table.text("input_mode", "File", INPUT_MODES),
        network_isolation=table.flag("network_isolation", False),
        metrics=table.strings("metrics"),
        checkpoints=_checkpoints(table.table("checkpoints")) if "checkpoints" in table else None,
    )
    instance.close()
    output.close()
    return spec


def _endpoint(table: Table, folder: Path) -> EndpointSpec:
    common = _common(table)
    variant = table.table("variant")
    spec = EndpointSpec(
        common,
        model=_source(table, "model", folder, required=False),
        variant=variant.text("name", DEFAULT_VARIANT),
        compute=_compute(table),
        network_isolation=table.flag("network_isolation", False),
        startup_timeout_seconds=variant.number("startup_timeout_seconds", None),
    )
    variant.close()
    return spec


def _transform(table: Table, folder: Path) -> TransformSpec:
    common = _common(table)
    given, output, limits = table.table("input"), table.table("output"), table.table("limits")
    instance = table.table("instance")
    spec = TransformSpec(
        common,
        model=_source(table, "model", folder, required=False),
        input=_source(given, "source", folder),
        content_type=given.text("content_type", None),
        split=given.text("split", None, ("None", "Line", "RecordIO", "TFRecord")),
        compression=given.text("compression", None, ("None", "Gzip")),
        accept=output.text("accept", None),
        assemble=output.text("assemble", None, ("None", "Line")),
        strategy=limits.text("strategy", None, ("MultiRecord", "SingleRecord")),
        max_payload_mb=limits.number("max_payload_mb", None, least=0),
        max_concurrent=limits.number("max_concurrent", None, least=0),
        instances=_instances(instance),
        output=_s3(output, "s3"),
        folder=folder / output.text("folder", DEFAULT_OUTPUT_FOLDER),
    )
    for each in (given, output, limits, instance):
        each.close()
    return spec


_READERS: Mapping[str, Callable[[Table, Path], Spec]] = {
    "training": _training,
    "endpoint": _endpoint,
    "transform": _transform,
}


def _channels(table: Table, folder: Path) -> tuple[Channel, ...]:
    """`train = "data.csv"`, or a table `[data.train]` with a `source`."""
    return tuple(_channel(table, name, value, folder) for name, value in table.items())


def _channel(table: Table, name: str, value: Any, folder: Path) -> Channel:
    short = not isinstance(value, dict)
    inner = table.inner(name, {"source": value} if short else value)
    channel = Channel(
        name,
        source=_source(inner, "source", folder),
        content_type=inner.text("content_type", None),
        input_mode=inner.text("input_mode", None, INPUT_MODES),
        compression=inner.text("compression", None, ("None", "Gzip")),
        distribution=inner.text(
            "distribution", "FullyReplicated", ("FullyReplicated", "ShardedByS3Key")
        ),
        data_type=inner.text(
            "data_type", "S3Prefix", ("S3Prefix", "ManifestFile", "AugmentedManifestFile")
        ),
    )
    inner.close()
    return channel


def _instances(table: Table) -> Instances:
    return Instances(table.text("type"), table.number("count", 1))


def _compute(table: Table) -> Instances | Serverless:
    """The one of `[instance]` and `[serverless]` that is there."""
    if "instance" in table and "serverless" in table:
        table.wrong("serverless", "and [instance] exclude each other; leave one out")
    serverless = table.table("serverless") if "serverless" in table else None
    instance = table.table("instance") if serverless is None or "instance" in table else None
    compute: Instances | Serverless | None = None
    if instance is not None:
        compute = _instances(instance)
        instance.close()
    if serverless is not None:
        compute = Serverless(
            serverless.number("memory_mb", 2048), serverless.number("max_concurrency", 5)
        )
        serverless.close()
    assert compute is not None
    return compute


def _limits(table: Table) -> Limits:
    limits = Limits(
        table.number("max_run_seconds", DEFAULT_MAX_RUN_SECONDS),
        table.number("max_wait_seconds", None),
        table.flag("spot", False),
    )
    if limits.max_wait_seconds is not None and not limits.spot:
        table.wrong("max_wait_seconds", "is for spot instances; add `spot = true` or leave it out")
    elif limits.max_wait_seconds is not None and limits.max_wait_seconds < limits.max_run_seconds:
        table.wrong(
            "max_wait_seconds",
            f"is {limits.max_wait_seconds}; it must be at least max_run_seconds "
            f"({limits.max_run_seconds})",
        )
    table.close()
    return limits


def _checkpoints(table: Table) -> Checkpoints | None:
    uri, path = _s3(table, "s3"), table.text("path", None)
    if uri is None:
        table.wrong("s3", "is missing; it is the s3:// prefix where checkpoints are kept")
    table.close()
    return Checkpoints(uri, path) if uri else None


def _s3(table: Table, key: str) -> S3Uri | None:
    text = table.text(key, None)
    try:
        return S3Uri.parse(text) if text else None
    except ValueError as error:
        table.wrong(key, f"is {error}")
        return None


def _source(table: Table, key: str, folder: Path, *, required: bool = True) -> Any:
    """An s3:// URI, or a file or folder that is there; None if it is not given and may be."""
    text = table.text(key) if required else table.text(key, None)
    if not text:
        return None
    if "://" in text:
        try:
            return S3Uri.parse(text)
        except ValueError as error:
            table.wrong(key, f"is {error}")
            return None
    path = folder / Path(text).expanduser()
    if not path.exists():
        table.wrong(key, f"is {text!r}, and there is no file or folder {path}")
    elif path.is_dir() and not any(each.is_file() for each in path.rglob("*")):
        table.wrong(key, f"is {text!r}, a folder without a file")
    return path

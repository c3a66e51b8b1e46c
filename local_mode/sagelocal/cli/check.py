"""`sagelocal check`: whether the cloud would take an image, and why not."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import click
from docker.errors import DockerException, NotFound

from sagelocal.check.archives import Tree
from sagelocal.check.containers import Engine
from sagelocal.check.findings import Report
from sagelocal.check.reports.as_json import as_json
from sagelocal.check.reports.junit import junit
from sagelocal.check.reports.page import page
from sagelocal.check.reports.table import table
from sagelocal.check.run import check as run_check
from sagelocal.check.subject import (
    LABEL_BODY,
    LABEL_CONTENT_TYPE,
    Limits,
    SampleRequest,
    Subject,
)
from sagelocal.cli.pairs import pair_option
from sagelocal.runtime.images import ImageCatalog, ImageFamily
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.samples import DISTRIBUTIONS, PARTS, Sample, read_sample

_FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "table": lambda report, _: table(report),
    "json": lambda report, _: as_json(report),
    "junit": junit,
    "html": lambda report, _: page(report),
}
_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".libsvm": "text/libsvm",
    ".npy": "application/x-npy",
    ".parquet": "application/x-parquet",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".txt": "text/plain",
}
_READABLE = click.Path(exists=True, path_type=Path)
STOPPED_STATUS = 130  # what a shell gives for a command that Ctrl-C ended


@click.command()
@click.argument("what", metavar="IMAGE-OR-FOLDER")
@pair_option("--channel", "channels", "NAME=PATH", "data to train on, a file or folder; repeatable")
@pair_option("--content-type", "content_types", "NAME=TYPE", "a channel's; repeatable")
@pair_option(
    "--distribution", "distributions", "NAME=HOW", "a channel's: ShardedByS3Key; repeatable"
)
@pair_option("--hp", "hyperparameters", "NAME=VALUE", "a hyperparameter; repeatable")
@pair_option("--env", "environment", "NAME=VALUE", "a variable of the containers; repeatable")
@click.option("--model", type=_READABLE, help="model.tar.gz or a folder; else what training leaves")
@click.option("--request", type=_READABLE, help="a request that the image should answer")
@click.option("--request-type", help="its Content-Type, if its name does not tell")
@click.option("--accept", help="what the request accepts")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="table, json, junit or html, to stdout or a file; repeatable",
)
@click.option(
    "--only",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="check this part alone; repeatable",
)
@click.option("--strict", is_flag=True, help="warnings are errors")
@click.option(
    "--training-timeout", default=300.0, show_default=True, help="seconds for one run of train"
)
@click.option("--startup-timeout", default=240.0, show_default=True, help="seconds until /ping")
@click.option(
    "--invocation-timeout", default=60.0, show_default=True, help="seconds for one request"
)
@click.option(
    "--training-grace", default=120.0, show_default=True, help="seconds from SIGTERM to SIGKILL"
)
@click.option(
    "--hosting-grace", default=30.0, show_default=True, help="the same, of a container that serves"
)
def check(
    what: str, outputs: tuple[str, ...], parts: tuple[str, ...], strict: bool, **options: Any
) -> None:
    """Run an image against the contracts of training and hosting, as the cloud would treat it.

    \b
    sagelocal check my-image --channel train=data.csv --request row.csv
    sagelocal check my-folder --output junit=check.xml --output html=check.html

    IMAGE is a tag that Docker knows or a family that `sagelocal images` shows; FOLDER has a
    Dockerfile, which is built. Training and serving are run many times, in containers of their own
    that leave nothing behind. Data, hyperparameters and a request may also come with the image: by
    [sample] in the image.toml of the family or FOLDER, which --channel replaces, and a request by
    the labels sagelocal.sample.body and sagelocal.sample.content-type, too. The exit status is 1 if
    the cloud would reject something, else 0; Ctrl-C removes every container and gives 130.
    """
    wanted = [_output(text) for text in outputs or ("table",)]
    try:
        engine = Engine()
    except DockerException as error:
        raise click.ClickException(
            f"A check runs the image at a Docker engine, and none answers: {error}. Start Docker, "
            "or set DOCKER_HOST; images run as processes cannot be checked."
        ) from error
    try:
        sample = _sample(what) if not options["channels"] else Sample()
        subject = _subject(engine, what, sample, options)
        report = _report(engine, subject, parts or sample.parts or PARTS)
    except DockerException as error:
        raise click.ClickException(f"The Docker engine failed: {error}") from error
    except KeyboardInterrupt:
        click.echo("Interrupted; no container of the check is left.", err=True)
        sys.exit(STOPPED_STATUS)
    finally:
        engine.close()
    for form, path in wanted:
        text = _FORMATS[form](report, strict)
        if path is None:
            click.echo(text, nl=False)
        else:
            path.write_text(text, encoding="utf-8")
    sys.exit(report.exit_status(strict))


def _report(engine: Engine, subject: Subject, parts: Collection[str]) -> Report:
    """Raises KeyboardInterrupt once everything has ended that a signal gave up."""
    with _given_up_by_signals(engine):
        try:
            report = run_check(engine, subject, parts, _progress)
        except Exception:
            # Whatever waited for a container that is gone says so in its own way.
            if engine.is_abandoned:
                raise KeyboardInterrupt from None
            raise
    if engine.is_abandoned:
        raise KeyboardInterrupt
    return report


@contextlib.contextmanager
def _given_up_by_signals(engine: Engine) -> Iterator[None]:
    """Meanwhile Ctrl-C and SIGTERM end the check by its containers; a second one does not wait.

    An exception in the middle of anything would leave containers behind, and one in this thread
    would wait for the others to end.
    """

    def give_up(number: int, frame: FrameType | None) -> None:
        if engine.is_abandoned:
            raise KeyboardInterrupt
        engine.abandon()

    before = {each: signal.signal(each, give_up) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(part: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"checking {part} ...", err=True)


def _output(text: str) -> tuple[str, Path | None]:
    form, _, path = text.partition("=")
    if form not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise click.BadParameter(f"{form!r} is no format; known: {known}", param_hint="--output")
    return form, Path(path) if path else None


def _subject(engine: Engine, what: str, sample: Sample, options: dict[str, Any]) -> Subject:
    image = _built(Path(what)) if (Path(what) / "Dockerfile").is_file() else _tag(what)
    try:
        inspected = engine.inspect(image)
    except NotFound as error:
        raise click.ClickException(
            f"Docker knows no image {image!r}, and {what!r} is no folder with a Dockerfile. Build "
            f"or pull it first: `docker build -t {image} FOLDER`."
        ) from error
    paths = options["channels"] or {n: str(each.path) for n, each in sample.channels.items()}
    model = options["model"] or sample.model
    subject = Subject(
        image,
        str(inspected["Id"]),
        inspected,
        channels={name: _tree(path) for name, path in paths.items()},
        content_types={
            **{n: each.content_type for n, each in sample.channels.items() if each.content_type},
            **options["content_types"],
        },
        distributions={
            **{name: each.distribution for name, each in sample.channels.items()},
            **_distributions(options["distributions"]),
        },
        required=frozenset(name for name, each in sample.channels.items() if each.required),
        hyperparameters={**sample.hyperparameters, **options["hyperparameters"]},
        environment={**sample.environment, **options["environment"]},
        model=_model(model) if model else None,
        limits=Limits(
            training=options["training_timeout"],
            startup=options["startup_timeout"],
            invocation=options["invocation_timeout"],
            training_grace=options["training_grace"],
            hosting_grace=options["hosting_grace"],
        ),
    )
    return replace(subject, request=_request(subject, sample, options))


def _tag(name: str) -> str:
    """The image of a family, where the name is one's; else the name itself."""
    family = _family(name)
    return family.tag if family else name


def _family(name: str) -> ImageFamily | None:
    try:
        return ImageCatalog.load().resolve(name)
    except RuntimeFault:
        return None


def _sample(what: str) -> Sample:
    """Of a folder's own image.toml, or of the family whose name it is."""
    document = _description(Path(what))
    if document is None:
        family = _family(what)
        return family.sample if family else Sample()
    try:
        return read_sample(Path(what) / "image.toml", document)
    except RuntimeFault as error:
        raise click.ClickException(str(error)) from error


def _description(folder: Path) -> dict[str, Any] | None:
    """What image.toml of a folder says; None if there is none."""
    path = folder / "image.toml"
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} cannot be read as TOML: {error}") from error


def _distributions(given: dict[str, str]) -> dict[str, str]:
    for how in given.values():
        if how not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise click.BadParameter(f"{how!r} is none of {known}", param_hint="--distribution")
    return given


def _built(folder: Path) -> str:
    """The image of a folder, by the tag of its image.toml, else by one of the folder's own."""
    place = folder.resolve()
    own = (
        f"sagelocal-check-{place.name.lower()}:{hashlib.sha1(str(place).encode()).hexdigest()[:8]}"
    )
    tag = str((_description(folder) or {}).get("image", {}).get("tag", own))
    done = subprocess.run(
        ["docker", "build", "--tag", tag, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        end = "\n".join(done.stdout.decode(errors="replace").splitlines()[-15:])
        raise click.ClickException(f"{folder} cannot be built:\n{end}")
    return tag


def _tree(path: str) -> Tree:
    if not Path(path).exists():
        raise click.BadParameter(f"{path!r} does not exist", param_hint="--channel")
    return Tree.of_path(Path(path))


def _model(path: Path) -> Tree:
    if path.is_dir():
        return Tree.of_path(path)
    try:
        return Tree.of_archive(path.read_bytes())
    except tarfile.TarError as error:
        raise click.BadParameter(f"{path} is no model.tar.gz: {error}", param_hint="--model") from (
            error
        )


def _request(subject: Subject, sample: Sample, options: dict[str, Any]) -> SampleRequest | None:
    """The one that was given, else the image's own."""
    path, given = options["request"], options["request_type"]
    if path is None and sample.request is not None:
        path, given = sample.request, given or sample.request_type
        options = {**options, "accept": options["accept"] or sample.accept}
    if path is not None:
        kind = given or _TYPES.get(path.suffix.lower(), "application/octet-stream")
        return SampleRequest(path.read_bytes(), kind, options["accept"])
    if LABEL_BODY in subject.labels:
        kind = given or subject.labels.get(LABEL_CONTENT_TYPE, "text/csv")
        return SampleRequest(subject.labels[LABEL_BODY].encode(), kind, options["accept"])
    return None

"""`sagelocal check`: whether the cloud would take an image, and why not."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
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
from sagelocal.check.run import PARTS
from sagelocal.check.run import check as run_check
from sagelocal.check.subject import (
    LABEL_BODY,
    LABEL_CONTENT_TYPE,
    Limits,
    SampleRequest,
    Subject,
)
from sagelocal.cli.pairs import pair_option
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

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


@click.command()
@click.argument("what", metavar="IMAGE-OR-FOLDER")
@pair_option("--channel", "channels", "NAME=PATH", "data to train on, a file or folder; repeatable")
@pair_option("--content-type", "content_types", "NAME=TYPE", "a channel's; repeatable")
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
    that leave nothing behind. The request may also come with the image, by the labels
    sagelocal.sample.body and sagelocal.sample.content-type. The exit status is 1 if the cloud would
    reject something, else 0.
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
        report = run_check(engine, _subject(engine, what, options), parts or PARTS, _progress)
    except DockerException as error:
        raise click.ClickException(f"The Docker engine failed: {error}") from error
    finally:
        engine.close()
    for form, path in wanted:
        text = _FORMATS[form](report, strict)
        if path is None:
            click.echo(text, nl=False)
        else:
            path.write_text(text, encoding="utf-8")
    sys.exit(report.exit_status(strict))


def _progress(part: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"checking {part} ...", err=True)


def _output(text: str) -> tuple[str, Path | None]:
    form, _, path = text.partition("=")
    if form not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise click.BadParameter(f"{form!r} is no format; known: {known}", param_hint="--output")
    return form, Path(path) if path else None


def _subject(engine: Engine, what: str, options: dict[str, Any]) -> Subject:
    image = _built(what) if (Path(what) / "Dockerfile").is_file() else _tag(what)
    try:
        inspected = engine.inspect(image)
    except NotFound as error:
        raise click.ClickException(
            f"Docker knows no image {image!r}, and {what!r} is no folder with a Dockerfile. Build "
            f"or pull it first: `docker build -t {image} FOLDER`."
        ) from error
    subject = Subject(
        image,
        str(inspected["Id"]),
        inspected,
        channels={name: _tree(path) for name, path in options["channels"].items()},
        content_types=options["content_types"],
        hyperparameters=options["hyperparameters"],
        environment=options["environment"],
        model=_model(options["model"]) if options["model"] else None,
        limits=Limits(
            training=options["training_timeout"],
            startup=options["startup_timeout"],
            invocation=options["invocation_timeout"],
            training_grace=options["training_grace"],
            hosting_grace=options["hosting_grace"],
        ),
    )
    return replace(subject, request=_request(subject, options))


def _tag(name: str) -> str:
    """The image of a family, where the name is one's; else the name itself."""
    try:
        family = ImageCatalog.load().resolve(name)
    except RuntimeFault:
        return name
    return family.tag if family else name


def _built(folder: str) -> str:
    tag = f"sagelocal-check-{Path(folder).resolve().name.lower()}:{uuid.uuid4().hex[:8]}"
    done = subprocess.run(
        ["docker", "build", "--tag", tag, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
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


def _request(subject: Subject, options: dict[str, Any]) -> SampleRequest | None:
    """The one that was given, else the image's own."""
    path, given = options["request"], options["request_type"]
    if path is not None:
        kind = given or _TYPES.get(path.suffix.lower(), "application/octet-stream")
        return SampleRequest(path.read_bytes(), kind, options["accept"])
    if LABEL_BODY in subject.labels:
        kind = given or subject.labels.get(LABEL_CONTENT_TYPE, "text/csv")
        return SampleRequest(subject.labels[LABEL_BODY].encode(), kind, options["accept"])
    return None

"""`sagelocal invoke`: call a served model or an endpoint, once or many times."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from sagelocal.cli.calling import Caller, CallError, Target, find_target
from sagelocal.cli.client_environment import DEFAULT_REGION
from sagelocal.cli.load import Load, send
from sagelocal.cli.options import data_option
from sagelocal.domain import content_types
from sagelocal.engine.health import ping

LOOK_SECONDS = 0.1
PING_SECONDS = 2.0
HEADERS = {
    "accept": "Accept",
    "target_model": "X-Amzn-SageMaker-Target-Model",
    "custom_attributes": "X-Amzn-SageMaker-Custom-Attributes",
}


@click.command()
@click.argument("body", metavar="BODY|@FILE|-", default="-")
@click.option(
    "--to",
    "where",
    metavar="URL|PORT|ENDPOINT",
    help="what to call; the running `sagelocal serve` if not given",
)
@click.option("--content-type", help="of the body; guessed from the file's name, or the text")
@click.option("--accept", help="what to answer in")
@click.option("--target-model", help="the model of a multi-model endpoint")
@click.option("--custom-attributes", help="X-Amzn-SageMaker-Custom-Attributes")
@click.option("--region", default=DEFAULT_REGION, show_default=True, help="of the endpoint")
@click.option("--repeat", type=click.IntRange(1), default=1, help="how many requests to send")
@click.option("--concurrency", type=click.IntRange(1, 1024), default=1, help="how many at a time")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    default=0.0,
    help="seconds to wait for somebody to answer there",
)
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0, min_open=True), default=60.0)
@data_option
def invoke(
    body: str,
    where: str | None,
    content_type: str | None,
    region: str,
    data_dir: Path,
    repeat: int,
    concurrency: int,
    wait_seconds: float,
    timeout_seconds: float,
    **headers: str | None,
) -> None:
    """Send BODY to a model and print its answer.

    \b
    sagelocal invoke 5.1,3.5,1.4,0.2
    sagelocal invoke @rows.csv --accept application/json
    sagelocal invoke @picture.png --to my-endpoint
    sagelocal invoke @rows.csv --to 9000 --repeat 1000 --concurrency 8

    BODY is the request's body itself, @FILE its file, - (or nothing) standard input. With --repeat
    the first answer is printed, and on standard error how long all of them took. The exit status is
    1 if any request was not answered with success; the reason is on standard error.
    """
    content, guessed = _read(body)
    sent = {"Content-Type": content_type or guessed, **_headers(headers)}
    try:
        target = _await_target(where, data_dir, region, wait_seconds)
        load = send(Caller(target, content, sent, timeout_seconds), repeat, concurrency)
    except CallError as error:
        raise click.ClickException(str(error)) from error
    _show(load)
    sys.exit(1 if load.failed else 0)


def _read(body: str) -> tuple[bytes, str]:
    """The bytes of the body, and what they are called."""
    if body == "-":
        content = sys.stdin.buffer.read()
        return content, content_types.of_text(content)
    if not body.startswith("@"):
        content = body.encode()
        return content, content_types.of_text(content)
    path = Path(body[1:])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from error
    return content, content_types.of_file(path) or content_types.OCTET_STREAM


def _headers(options: dict[str, str | None]) -> dict[str, str]:
    return {HEADERS[name]: value for name, value in options.items() if value is not None}


def _await_target(where: str | None, data_dir: Path, region: str, wait_seconds: float) -> Target:
    """What to call, once somebody answers /ping there or the time is over. Raises CallError."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            target = find_target(where, data_dir, region)
            late = time.monotonic() >= deadline
            if late or target.headers or ping(f"http://{target.netloc}", PING_SECONDS) is None:
                return target
        except CallError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(LOOK_SECONDS)


def _show(load: Load) -> None:
    """The first answer, if it is one; every other thing on standard error."""
    first = load.answers[0]
    if first.succeeded:
        sys.stdout.buffer.write(first.body)
        if sys.stdout.isatty() and not first.body.endswith(b"\n"):
            click.echo()
        sys.stdout.buffer.flush()
    for problem in dict.fromkeys(answer.problem for answer in load.failed):
        click.echo(f"Error: {problem}", err=True)
    if len(load.answers) > 1:
        click.echo(str(load), err=True)

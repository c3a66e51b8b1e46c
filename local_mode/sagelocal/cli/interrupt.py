"""`sagelocal interrupt`: take a managed spot training job's instances away, as the cloud may."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click

from sagelocal.cli import plane_process
from sagelocal.cli.options import data_option

TIMEOUT_SECONDS = 30.0


@click.command()
@data_option
@click.argument("name", metavar="JOB")
@click.option("--region", help="where the job is, if jobs of several regions have its name")
def interrupt(data_dir: Path, name: str, region: str | None) -> None:
    """Interrupt a managed spot training job, so that its checkpoints can be tested.

    Its containers get SIGTERM, and SIGKILL after the grace; then it starts again with its
    checkpoints restored.
    """
    try:
        url = plane_process.require(data_dir).url
    except plane_process.PlaneError as error:
        raise click.ClickException(str(error)) from error
    path = f"/_sagelocal/training-jobs/{quote(name, safe='')}/interruption"
    status, answer = _post(url, path, {"Region": region} if region else {})
    if status != 200:
        raise click.ClickException(str(answer.get("message", f"the plane answered {status}")))
    click.echo(f"{name} is being interrupted; it starts again when its containers have ended")


def _post(url: str, path: str, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(document), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise click.ClickException(
            f"the control plane at {url} does not answer: {error}"
        ) from error
    finally:
        connection.close()
    return answer.status, found if isinstance(found, dict) else {}

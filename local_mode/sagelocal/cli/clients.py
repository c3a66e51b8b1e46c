"""`sagelocal env` and `sagelocal exec`: unmodified clients against the local plane."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from sagelocal.cli import plane_process
from sagelocal.cli.client_environment import client_environment, variables_to_remove
from sagelocal.cli.options import data_option


def _plane_url(data_dir: Path) -> str:
    try:
        return plane_process.require(data_dir).url
    except plane_process.PlaneError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@data_option
def env(data_dir: Path) -> None:
    """Print the variables to set, for `eval "$(sagelocal env)"`."""
    for name in variables_to_remove(os.environ):
        click.echo(f"unset {name}")
    for name, value in client_environment(_plane_url(data_dir), os.environ).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command("exec", context_settings={"ignore_unknown_options": True})
@data_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(data_dir: Path, command: tuple[str, ...]) -> None:
    """Run COMMAND with the variables that `env` prints.

    \b
    sagelocal exec -- python notebook.py
    sagelocal exec -- aws s3 ls
    """
    url = _plane_url(data_dir)
    removed = variables_to_remove(os.environ)
    environment = {k: v for k, v in os.environ.items() if k not in removed}
    environment.update(client_environment(url, os.environ))
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise click.ClickException(f"cannot run {command[0]!r}: {error.strerror}") from error

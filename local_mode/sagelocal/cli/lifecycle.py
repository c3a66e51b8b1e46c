"""`sagelocal up`, `down` and `status`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sagelocal.cli import plane_process
from sagelocal.cli.options import data_option, settings_arguments, settings_of, settings_options


@click.command()
@settings_options
@click.option("--foreground", is_flag=True, help="stay in this terminal until interrupted")
def up(foreground: bool, **values: Any) -> None:
    """Start the control plane; return when it answers."""
    settings = settings_of(values)
    running = plane_process.find(settings.data_dir)
    if running is not None:
        _refuse_other_settings(running)
        click.echo(f"already up at {running.url} (process {running.pid})")
        return
    arguments = settings_arguments(settings)
    if foreground:
        os.execv(sys.executable, plane_process.foreground_command(arguments))
    try:
        running = plane_process.start(arguments, settings.data_dir)
    except plane_process.PlaneError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"up at {running.url} (process {running.pid}, runtime {running.health['runtime']})")


def _refuse_other_settings(running: plane_process.RunningPlane) -> None:
    """A plane that is up stays as it is: what was asked for in other words must not seem done."""
    context = click.get_current_context()
    for name in ("host", "port", "runtime"):
        asked, is_now = context.params[name], running.health[name]
        by_default = context.get_parameter_source(name) is ParameterSource.DEFAULT
        if not by_default and asked not in (is_now, "auto", 0):
            raise click.ClickException(
                f"already up at {running.url} with --{name} {is_now}, not {asked}; "
                "`sagelocal down` first"
            )


@click.command()
@data_option
def down(data_dir: Path) -> None:
    """Stop the control plane. Containers go on; `up` finds them again."""
    running = plane_process.find(data_dir)
    if running is None:
        click.echo(f"no control plane answers for {data_dir}")
        return
    try:
        plane_process.stop(running)
    except plane_process.PlaneError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"down (was {running.url})")


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="the health answer as it is")
def status(data_dir: Path, as_json: bool) -> None:
    """Say whether the control plane answers, and where. Exit status 1 if it does not."""
    try:
        running = plane_process.require(data_dir)
    except plane_process.PlaneError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(running.health, indent=2, sort_keys=True))
        return
    click.echo(f"up at {running.url}")
    for name, value in sorted(running.health.items()):
        click.echo(f"  {name}: {value}")

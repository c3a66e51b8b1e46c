"""`sagelocal fetch`: a cloud job's model, or an endpoint, brought to this machine."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli.accounts import account_here, profile_option, region_option
from sagelocal.cli.options import data_option
from sagelocal.cloud.checking import check_calls
from sagelocal.cloud.fetching import Fetched, FetchedModel, fetch
from sagelocal.cloud.plan import plan_of
from sagelocal.cloud.resolving import place_of
from sagelocal.cloud.sending import send_calls, send_uploads
from sagelocal.cloud.spec import load_spec


@click.command("fetch")
@click.argument("name", metavar="JOB-OR-ENDPOINT")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder; its name if not given",
)
@click.option("--register", is_flag=True, help="make it a model of this machine's plane, too")
@click.option("--serve", "serve", is_flag=True, help="serve it at once, until Ctrl-C")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="of --serve; 0 is any free",
)
@click.option("--here", is_flag=True, help="fetch from this machine's plane instead")
@region_option
@profile_option
@data_option
def fetch_(
    name: str,
    output: Path | None,
    register: bool,
    serve: bool,
    port: int,
    here: bool,
    region: str | None,
    profile: str | None,
    data_dir: Path,
) -> None:
    """Bring a training job's model, or an endpoint's models and settings, to a folder.

    \b
    sagelocal fetch my-job
    sagelocal fetch my-endpoint --serve

    The folder also has description.json, what the API says of it, and spec files for `sagelocal
    launch`: endpoint.toml, which serves the model, and job.toml, which trains it again.
    """
    try:
        account = account_here(data_dir, region) if here else Account.cloud(region, profile)
        fetched = fetch(account, name, output or Path(name))
        _tell(fetched)
        for model in fetched.models if register else ():
            _register(model, account_here(data_dir, region, start=True))
        if serve:
            _serve(fetched, port)
    except CloudError as error:
        raise click.ClickException(str(error)) from error


def _tell(fetched: Fetched) -> None:
    for path in sorted(path for path in fetched.folder.rglob("*") if path.is_file()):
        click.echo(str(path))
    if fetched.left_out:
        click.echo(f"not in job.toml: {', '.join(fetched.left_out)}", err=True)
    if not fetched.models:
        click.echo("The job has no model.", err=True)
    for model in fetched.models:
        if model.multi_model:
            click.echo(
                f"{model.spec} cannot say Mode MultiModel; {model.model} has it all", err=True
            )
            continue
        if model.model is not None:
            click.echo(f"serve it:  sagelocal {shlex.join(_serve_command(model))}", err=True)
        click.echo(f"behind the SageMaker API:  sagelocal launch {model.spec} --here", err=True)


def _serve_command(model: FetchedModel) -> list[str]:
    pairs = [f"{key}={value}" for key, value in model.environment.items()]
    variables = [part for pair in pairs for part in ("--env", pair)]
    return ["serve", str(model.model), "--image", model.image, *variables]


def _register(model: FetchedModel, account: Account) -> None:
    """A model of the plane, by the first call of the endpoint that the spec describes."""
    spec = load_spec(model.spec)
    plan = plan_of(spec, place_of(spec, account, None, None))
    (call, *_) = plan.calls
    check_calls([call])
    plan = replace(plan, calls=(call,))
    send_uploads(account, plan, lambda text: click.echo(text, err=True))
    send_calls(account, plan, lambda text: None)
    click.echo(f"model {call.parameters['ModelName']} of the plane here", err=True)


def _serve(fetched: Fetched, port: int) -> None:
    """In this process's place. Raises CloudError if it is not one model."""
    if len(fetched.models) != 1:
        raise CloudError(
            f"--serve is for one model, and there are {len(fetched.models)}; choose one of the "
            "folders, or launch the spec files with --here"
        )
    (model,) = fetched.models
    if model.model is None or model.multi_model:
        raise CloudError("--serve is for a model with files, of an image that has one model")
    sys.stdout.flush()
    command = [
        sys.executable,
        "-m",
        "sagelocal.cli.main",
        *_serve_command(model),
        "--port",
        str(port),
    ]
    os.execv(sys.executable, command)

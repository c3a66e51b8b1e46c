"""`sagelocal launch`: one file as a real job or endpoint, on this machine or in the cloud."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli.accounts import account_here, how_to_call, profile_option, region_option
from sagelocal.cli.options import data_option
from sagelocal.cloud.checking import check_calls
from sagelocal.cloud.downloading import check_folder, download_job, download_prefix
from sagelocal.cloud.following import WATCHED, Ended, follow, stop
from sagelocal.cloud.plan import Plan, plan_of
from sagelocal.cloud.prices import Cost, cost_of, load_prices
from sagelocal.cloud.resolving import place_of
from sagelocal.cloud.sending import files_of, send_calls, send_uploads
from sagelocal.cloud.spec import EndpointSpec, Spec, load_spec
from sagelocal.domain.names import S3Uri

STOPPED_STATUS = 130  # what a shell gives for a command that Ctrl-C ended
POLL_SECONDS_HERE = 0.25
POLL_SECONDS_CLOUD = 5.0
# How long to try again where nobody answers.
PATIENCE_SECONDS_HERE = 30.0
PATIENCE_SECONDS_CLOUD = 900.0


@dataclass(frozen=True)
class _Choices:
    """What the flags say besides where."""

    name: str | None
    bucket: str | None
    output: Path | None
    prices: Path | None
    yes: bool
    dry_run: bool
    detach: bool
    download: bool
    poll_seconds: float | None


@click.command()
@click.argument("spec", metavar="SPEC", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--here/--cloud", "here", default=None, help="on this machine's plane, or in AWS")
@click.option("--dry-run", is_flag=True, help="print what would be sent, as JSON, and send nothing")
@click.option("-y", "--yes", is_flag=True, help="spend without asking")
@click.option(
    "--prices",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV or JSON list of instance prices",
)
@click.option("--name", help="the job's exact name; else the spec's and the time")
@click.option("--bucket", help="for local data and output; else sagemaker-REGION-ACCOUNT")
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="folder for the results"
)
@click.option("--detach", is_flag=True, help="return when the job is accepted")
@click.option("--download/--no-download", default=True, help="bring the results here")
@click.option(
    "--poll-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="between two looks; 5 for the cloud, 0.25 here",
)
@region_option
@profile_option
@data_option
def launch(
    spec: Path,
    here: bool | None,
    region: str | None,
    profile: str | None,
    data_dir: Path,
    **options: Any,
) -> None:
    """Run the job or endpoint that the file SPEC describes.

    \b
    sagelocal launch job.toml --here
    sagelocal launch job.toml --cloud --dry-run
    sagelocal launch job.toml --cloud --prices prices.csv

    --cloud uses boto3's own credentials, region and endpoint settings, shows what it is about to
    send and asks before it spends. The exit status is 0 if the job completed or the endpoint is in
    service, 1 if it failed, 130 if it was stopped or Ctrl-C ended the watching.
    """
    if here is None:
        raise click.UsageError("say where: --here or --cloud.")
    choices = _Choices(**options)
    try:
        wanted = load_spec(spec)
        region = region or wanted.common.region
        if here:
            account = account_here(data_dir, region, start=True)
        else:
            account = Account.cloud(region, profile)
        status = _launch(account, wanted, choices)
    except CloudError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Interrupted before anything was created.", err=True)
        status = STOPPED_STATUS
    sys.exit(status)


def _launch(account: Account, spec: Spec, choices: _Choices) -> int:
    """Show, ask, send, follow, download; the exit status. Raises CloudError."""
    folder = _folder(spec, choices)
    if folder is not None:
        check_folder(folder)
    prices = load_prices(choices.prices) if choices.prices else ()
    place = place_of(spec, account, choices.name, choices.bucket)
    plan = plan_of(spec, place)
    check_calls(plan.calls)
    cost = cost_of(spec, plan, prices, account.region)
    _show(account, plan, choices, cost)
    if choices.dry_run:
        return 0
    _ask(account, plan, choices)
    send_uploads(account, plan, _tell)
    try:
        send_calls(account, plan, _tell)
        _tell(f"{plan.kind} {plan.name} is accepted")
        if choices.detach:
            click.echo(plan.name)
            return 0
        ended = _followed(account, plan, choices)
    except KeyboardInterrupt:
        return _leave(account, plan)
    return _conclude(account, plan, ended, folder if choices.download else None)


def _followed(account: Account, plan: Plan, choices: _Choices) -> Ended:
    """Raises CloudError that says, too, that the job goes on."""
    poll = _poll_seconds(account, choices)
    patience = PATIENCE_SECONDS_HERE if account.is_here else PATIENCE_SECONDS_CLOUD
    try:
        return follow(account, plan.kind, plan.name, _Lines(), poll, patience)
    except CloudError as error:
        raise CloudError(f"{error}\n{_goes_on(account, plan)}") from error


def _folder(spec: Spec, choices: _Choices) -> Path | None:
    """Where the results go; None if there will be none."""
    if isinstance(spec, EndpointSpec) or choices.detach or not choices.download:
        return None
    return choices.output or spec.folder


def _poll_seconds(account: Account, choices: _Choices) -> float:
    return choices.poll_seconds or (POLL_SECONDS_HERE if account.is_here else POLL_SECONDS_CLOUD)


def _show(account: Account, plan: Plan, choices: _Choices, cost: Cost | None) -> None:
    """What will be sent: JSON alone on standard output for a dry run, else for reading."""
    document = {
        "uploads": [
            {
                "from": str(upload.source),
                "to": str(upload.to),
                "packed": upload.packed,
                "files": len(files_of(upload)),
                "bytes": sum(path.stat().st_size for path, _ in files_of(upload)),
            }
            for upload in plan.uploads
        ],
        "calls": [
            {"service": call.service, "operation": call.operation, "parameters": call.parameters}
            for call in plan.calls
        ],
    }
    if choices.dry_run:
        click.echo(json.dumps(document, indent=2))
    elif not account.is_here:
        click.echo(json.dumps(document, indent=2), err=True)
    where = "this machine" if account.is_here else f"AWS, region {account.region}"
    if not account.is_here and not choices.dry_run:
        identity = account.identity
        where = f"AWS account {identity.account}, region {account.region}, as {identity.arn}"
    _tell(f"{plan.kind} {plan.name} for {where}")
    if cost is not None:
        _tell(f"cost: {cost}")
    elif choices.prices:
        _tell(f"cost: {choices.prices} has no price for this in {account.region}")


def _ask(account: Account, plan: Plan, choices: _Choices) -> None:
    """Raises CloudError if the user does not want to spend, or cannot be asked."""
    if account.is_here or choices.yes:
        return
    if not sys.stdin.isatty():
        raise CloudError(
            f"{plan.kind} {plan.name} would cost money, and there is no terminal to ask on; "
            "nothing was sent. Look with --dry-run, and go ahead with --yes."
        )
    if not click.confirm("Send this, and pay for it?", err=True):
        raise CloudError("nothing was sent")


def _leave(account: Account, plan: Plan) -> int:
    """Ctrl-C: what was created goes on, unless the user wants it stopped."""
    what = _to_end(plan)
    click.echo("", err=True)
    try:
        wanted = sys.stdin.isatty() and click.confirm(f"Shall I {what}?", err=True)
    except click.Abort:
        wanted = False
    if wanted:
        stop(account, plan.kind, plan.name)
        _tell(f"{plan.kind} {plan.name} is being {'deleted' if 'delete' in what else 'stopped'}")
    else:
        _tell(_goes_on(account, plan))
    return STOPPED_STATUS


def _to_end(plan: Plan) -> str:
    return "delete the endpoint" if plan.kind == "endpoint" else "stop the job"


def _goes_on(account: Account, plan: Plan) -> str:
    command = how_to_call(account, f"{WATCHED[plan.kind].stop_command} {plan.name}")
    told = f"{plan.kind} {plan.name} goes on without being watched; to {_to_end(plan)}: {command}"
    if plan.kind == "training":
        where = " --here" if account.is_here else ""
        told += f"; for its results once it has ended: sagelocal fetch {plan.name}{where}"
    return told


def _conclude(account: Account, plan: Plan, ended: Ended, folder: Path | None) -> int:
    """Bring the results, say how it ended and what to do next; the exit status."""
    if plan.kind == "endpoint":
        return _conclude_endpoint(account, plan, ended)
    if folder is not None and plan.kind == "training":
        found = download_job(account, ended.description, folder)
        click.echo(f"The results are in {folder}: {', '.join(found) or 'the job left none'}")
    elif folder is not None and ended.succeeded:
        uri = S3Uri.parse(ended.description["TransformOutput"]["S3OutputPath"].rstrip("/") + "/")
        count = download_prefix(account, uri, folder)
        click.echo(f"The results are in {folder}: {count} files")
    if ended.succeeded:
        return 0
    if ended.status == "Stopped":
        click.echo(f"{plan.name} was stopped.", err=True)
        return STOPPED_STATUS
    click.echo(f"{plan.name} failed: {ended.reason}", err=True)
    return 1


def _conclude_endpoint(account: Account, plan: Plan, ended: Ended) -> int:
    delete = how_to_call(account, f"{WATCHED['endpoint'].stop_command} {plan.name}")
    if not ended.succeeded:
        click.echo(f"{plan.name} is {ended.status}: {ended.reason}", err=True)
        click.echo(f"-> {delete}", err=True)
        return 1
    call = "aws sagemaker-runtime invoke-endpoint --content-type text/csv --body fileb://rows.csv"
    invoke = (
        f"sagelocal invoke @rows.csv --to {plan.name} --region {account.region}"
        if account.is_here
        else how_to_call(account, f"{call} --endpoint-name {plan.name} answer.json")
    )
    click.echo(f"{plan.name} is in service\n  call it:   {invoke}\n  delete it: {delete}")
    return 0


def _tell(text: str) -> None:
    click.echo(text, err=True)


class _Lines:
    """The log on standard output, phases among it."""

    def phase(self, status: str, message: str) -> None:
        click.echo(f"{status}: {message}" if message else status)

    def line(self, text: str) -> None:
        click.echo(text)

"""`sagelocal diff`: how a job here and a job in the cloud differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli.accounts import account_here, profile_option, region_option
from sagelocal.cli.options import data_option
from sagelocal.cloud.comparing import Difference, differences, facts_of

SIDES = ("here", "cloud")


@click.command()
@click.argument("job", metavar="JOB")
@click.argument("other", metavar="[OTHER]", required=False)
@click.option("--json", "as_json", is_flag=True, help="both jobs' facts and the differences")
@click.option("--artifact/--no-artifact", default=True, help="download the models and compare them")
@click.option("--exit-code", is_flag=True, help="exit with 1 if more than places differ")
@region_option
@profile_option
@data_option
def diff(
    job: str,
    other: str | None,
    as_json: bool,
    artifact: bool,
    exit_code: bool,
    region: str | None,
    profile: str | None,
    data_dir: Path,
) -> None:
    """Compare two training jobs: JOB of this machine with OTHER of the cloud.

    \b
    sagelocal diff my-job                        of the same name here and there
    sagelocal diff my-job-1 my-job-2
    sagelocal diff cloud:my-job-1 cloud:my-job-2

    `here:` and `cloud:` before a name say where it is. Where things lie (buckets, registries,
    roles) differs by nature and is told apart.
    """
    left, right = _reference(job, "here"), _reference(other or _reference(job, "here")[1], "cloud")
    accounts: dict[str, Account] = {}
    try:
        for side in (left[0], right[0]):
            if side not in accounts:
                accounts[side] = (
                    account_here(data_dir, region)
                    if side == "here"
                    else Account.cloud(region, profile)
                )
        facts = [facts_of(accounts[side], name, artifact=artifact) for side, name in (left, right)]
    except CloudError as error:
        raise click.ClickException(str(error)) from error
    found = differences(*facts)
    if as_json:
        _print_json(left, right, facts, found)
    else:
        _print(left, right, found)
    sys.exit(1 if exit_code and any(not each.is_place for each in found) else 0)


def _reference(text: str, default: str) -> tuple[str, str]:
    """Where and what `cloud:my-job` is."""
    side, separator, name = text.partition(":")
    if not separator:
        return default, text
    if side not in SIDES or not name:
        raise click.UsageError(f"{text!r} is no job; write here:NAME or cloud:NAME.")
    return side, name


def _print(left: tuple[str, str], right: tuple[str, str], found: Sequence[Difference]) -> None:
    click.echo(f"--- {':'.join(left)}\n+++ {':'.join(right)}")
    what = [each for each in found if not each.is_place]
    for section in dict.fromkeys(each.section for each in what):
        click.echo(section)
        _print_lines([each for each in what if each.section == section])
    if not what:
        click.echo("no difference in what ran")
    places = [each for each in found if each.is_place]
    if places:
        click.echo("only where it is")
        _print_lines(places)


def _print_lines(found: Sequence[Difference]) -> None:
    for each in found:
        for sign, value in (("-", each.left), ("+", each.right)):
            if value is not None:
                click.echo(f"  {sign} {each.key}: {value}")


def _print_json(
    left: tuple[str, str],
    right: tuple[str, str],
    facts: Sequence[object],
    found: Sequence[Difference],
) -> None:
    document = {
        "left": {"job": ":".join(left), "facts": facts[0]},
        "right": {"job": ":".join(right), "facts": facts[1]},
        "differences": [
            {
                "section": each.section,
                "key": each.key,
                "left": each.left,
                "right": each.right,
                "place": each.is_place,
            }
            for each in found
        ],
    }
    click.echo(json.dumps(document, indent=2))

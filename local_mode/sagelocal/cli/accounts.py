"""The flags that say which account a command talks to, and the account they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli import plane_process

F = TypeVar("F", bound=Callable[..., Any])

region_option = click.option("--region", help="the AWS region")
profile_option = click.option("--profile", help="the AWS profile of the cloud's credentials")


def account_here(data_dir: Path, region: str | None, *, start: bool = False) -> Account:
    """This machine's plane, started if it is not up and may be. Raises CloudError."""
    try:
        plane = plane_process.find(data_dir) if start else plane_process.require(data_dir)
        if plane is None:
            plane = plane_process.start(["--data", str(data_dir)], data_dir)
            click.echo(f"the control plane is up at {plane.url}", err=True)
    except plane_process.PlaneError as error:
        raise CloudError(str(error)) from error
    return Account.here(plane.url, region)


def how_to_call(account: Account, command: str) -> str:
    """An AWS CLI command line for the account."""
    return (
        f"sagelocal exec -- {command}"
        if account.is_here
        else f"{command} --region {account.region}"
    )

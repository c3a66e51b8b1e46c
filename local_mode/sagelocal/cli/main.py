"""The `sagelocal` command. Commands are imported when they are called, so that each starts fast."""

from __future__ import annotations

import importlib
from typing import Any, cast

import click

from sagelocal import __version__

COMMANDS = {
    "up": "sagelocal.cli.lifecycle:up",
    "down": "sagelocal.cli.lifecycle:down",
    "status": "sagelocal.cli.lifecycle:status",
    "env": "sagelocal.cli.clients:env",
    "exec": "sagelocal.cli.clients:exec_",
    "build": "sagelocal.cli.images:build",
    "images": "sagelocal.cli.images:images",
    "train": "sagelocal.cli.train:train",
    "check": "sagelocal.cli.check:check",
    "push": "sagelocal.cli.push:push",
    "serve": "sagelocal.cli.serve:serve",
    "invoke": "sagelocal.cli.invoke:invoke",
    "model": "sagelocal.cli.model:model",
    "logs": "sagelocal.cli.logs:logs",
    "interrupt": "sagelocal.cli.interrupt:interrupt",
    "launch": "sagelocal.cli.launch:launch",
    "fetch": "sagelocal.cli.fetch:fetch_",
    "diff": "sagelocal.cli.diff:diff",
    "export": "sagelocal.cli.export:export",
    "doctor": "sagelocal.cli.doctor:doctor",
}


class LazyGroup(click.Group):
    """A group whose commands are named in COMMANDS and imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))


@click.command(cls=LazyGroup)
@click.version_option(__version__)
def main() -> Any:
    """SageMaker notebooks, scripts and containers on this machine, unmodified."""


if __name__ == "__main__":
    main()

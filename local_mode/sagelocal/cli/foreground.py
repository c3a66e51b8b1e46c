"""The control plane in this very process: what `sagelocal up` starts."""

from __future__ import annotations

import sys
from typing import Any

import click

from sagelocal.cli import plane_process
from sagelocal.cli.options import settings_options
from sagelocal.gateway.server import serve
from sagelocal.settings import Settings


@click.command()
@settings_options
def main(**values: Any) -> None:
    """Run the control plane until SIGTERM or SIGINT."""
    settings = Settings(**values)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        plane_process.remember(settings.data_dir, f"http://{settings.host}:{settings.port}")
    except OSError as error:
        sys.exit(
            f"cannot write to the data directory {settings.data_dir}: {error.strerror}; "
            "choose another one with --data"
        )
    serve(settings)


if __name__ == "__main__":
    main()

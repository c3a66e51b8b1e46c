"""The control plane in this very process: what `sagelocal up` starts."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from sagelocal.cli import plane_process
from sagelocal.cli.options import settings_of, settings_options
from sagelocal.gateway.server import serve


@click.command()
@settings_options
def main(**values: Any) -> None:
    """Run the control plane until SIGTERM or SIGINT."""
    settings = settings_of(values)
    serve(settings, on_listening=partial(plane_process.remember, settings.data_dir))


if __name__ == "__main__":
    main()

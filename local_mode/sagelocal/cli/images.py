"""`sagelocal images` and `sagelocal build`: which images there are, and making them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from sagelocal.runtime.build import build_images
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

containers_option = click.option(
    "--containers-dir",
    type=click.Path(path_type=Path),
    envvar="SAGELOCAL_CONTAINERS_DIR",
    help="folder of image families; found beside sagelocal if not given",
)


@click.command()
@containers_option
def images(containers_dir: Path | None) -> None:
    """List the image families.

    Each with the ECR repository names it answers to, and whether Docker has it built.
    """
    catalog = _catalog(containers_dir)
    for family in catalog.families:
        click.echo(f"{family.family:<18} {family.tag:<32} {_docker_state(family.tag)}")
        if family.names:
            click.echo(f"{'':<18} answers to {', '.join(family.names)}")


@click.command()
@containers_option
@click.argument("families", nargs=-1, required=True, metavar="FAMILY...")
def build(containers_dir: Path | None, families: tuple[str, ...]) -> None:
    """Build the Docker images of families, and of what they stand on."""
    try:
        build_images(_catalog(containers_dir), families)
    except RuntimeFault as error:
        raise click.ClickException(str(error)) from error


def _catalog(containers_dir: Path | None) -> ImageCatalog:
    try:
        return ImageCatalog.load(containers_dir)
    except RuntimeFault as error:
        raise click.ClickException(str(error)) from error


def _docker_state(tag: str) -> str:
    try:
        done = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Size}}", tag],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "Docker does not answer"
    if done.returncode != 0:
        answered = "no such" in done.stderr.lower()
        return "not built in Docker" if answered else "Docker does not answer"
    return f"built, {int(done.stdout) / 1e6:.0f} MB"

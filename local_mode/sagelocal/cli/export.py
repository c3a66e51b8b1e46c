"""`sagelocal export`: an endpoint as files that run it elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli.accounts import account_here, profile_option, region_option
from sagelocal.cli.images import containers_option
from sagelocal.cli.options import data_option
from sagelocal.domain.names import S3Uri
from sagelocal.export.description import ExportError, Service
from sagelocal.export.guide import filled_in
from sagelocal.export.reading import Wanted, read_service
from sagelocal.export.targets import TARGETS, Target, target_named
from sagelocal.export.writing import check_folder, write
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault


@click.command()
@click.argument("endpoint", metavar="ENDPOINT")
@click.option("--to", "target_name", required=True, metavar="|".join(TARGETS), help="the target")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="a new folder; ENDPOINT-TARGET if not given",
)
@click.option("--variant", help="which one, of an endpoint with several")
@click.option(
    "--image",
    "images",
    multiple=True,
    help="the image's name in a registry, where it is to run; one for each container of a pipeline",
)
@click.option("--model-s3", metavar="S3-PREFIX", help="where the model will be; else where it is")
@click.option("--role", help="ARN of the role that the container has there")
@click.option("--cloud", is_flag=True, help="an endpoint of AWS, instead of this machine's plane")
@containers_option
@region_option
@profile_option
@data_option
def export(
    endpoint: str,
    target_name: str,
    output: Path | None,
    variant: str | None,
    images: tuple[str, ...],
    model_s3: str | None,
    role: str | None,
    cloud: bool,
    containers_dir: Path | None,
    region: str | None,
    profile: str | None,
    data_dir: Path,
) -> None:
    """Write files that run an endpoint's image with its model elsewhere.

    \b
    sagelocal export my-endpoint --to compose
    sagelocal export my-endpoint --to ecs --image URI --model-s3 s3://my-bucket/models/

    The new folder has a README.md with what is in it and the commands to run it. An image that only
    this machine has is pushed first (`sagelocal push`), and --image says what it is called there.
    """
    try:
        target = target_named(target_name)
        folder = output or Path(f"{endpoint}-{target.name}")
        check_folder(folder)
        wanted = Wanted(target, variant, images, _prefix(model_s3), role)
        account = Account.cloud(region, profile) if cloud else account_here(data_dir, region)
        catalog = None if cloud else ImageCatalog.load(containers_dir)
        service = read_service(account, endpoint, wanted, catalog)
        texts = write(account, service, target, folder)
    except (ExportError, CloudError, RuntimeFault) as error:
        raise click.ClickException(str(error)) from error
    for name in sorted(texts):
        click.echo(str(folder / name))
    _tell(service, target, filled_in(texts), catalog)


def _prefix(text: str | None) -> str | None:
    """With a slash at its end. Raises ExportError."""
    if text is None:
        return None
    try:
        S3Uri.parse(text)
    except ValueError as error:
        raise ExportError(f"--model-s3 is {error}") from error
    return text if text.endswith("/") else f"{text}/"


def _tell(
    service: Service,
    target: Target,
    to_fill_in: dict[str, list[str]],
    catalog: ImageCatalog | None,
) -> None:
    for base in dict.fromkeys(stage.base_image for stage in service.stages):
        family = catalog.resolve(base) if catalog else None
        if catalog and family and target.brings_model:
            click.echo(f"Docker needs the image: `{catalog.how_to_build(family)}`", err=True)
    files = [name for name in to_fill_in if name != "README.md"]
    if files:
        click.echo(f"to fill in (README.md says what): {', '.join(files)}", err=True)
    if service.not_exported:
        click.echo(f"not exported: {', '.join(service.not_exported)}", err=True)

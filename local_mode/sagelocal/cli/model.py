"""`sagelocal model`: what a model holds, and the same model in another library's format."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from sagelocal.account import Account, CloudError
from sagelocal.cli.accounts import account_here, profile_option, region_option
from sagelocal.cli.options import data_option
from sagelocal.cloud.downloading import download, download_prefix
from sagelocal.domain.names import S3Uri
from sagelocal.models.errors import ModelError
from sagelocal.models.exporting.targets import NAMES, Target, export
from sagelocal.models.inspecting import inspect
from sagelocal.models.model import Model
from sagelocal.models.reports.as_json import as_json
from sagelocal.models.reports.picture import svg
from sagelocal.models.reports.table import table
from sagelocal.models.source import opened

F = TypeVar("F", bound=Callable[..., Any])

_S3 = "s3://"


@dataclass(frozen=True)
class Where:
    """Which S3 an s3:// is of."""

    here: bool
    region: str | None
    profile: str | None
    data_dir: Path

    def account(self) -> Account:
        """Raises CloudError."""
        if self.here:
            return account_here(self.data_dir, self.region)
        return Account.cloud(self.region, self.profile)


def _model_argument(command: F) -> F:
    """The model, and which S3 it is in."""
    command = data_option(profile_option(region_option(command)))
    command = click.option("--here", is_flag=True, help="s3:// is of this machine's plane")(command)
    return click.argument("path", metavar="MODEL.tar.gz-OR-DIR-OR-s3://...")(command)


@click.group()
def model() -> None:
    """Look into trained models, and take them to other libraries."""


@model.command("inspect")
@_model_argument
@click.option("--json", "as_document", is_flag=True, help="one JSON object instead of a table")
@click.option("--all", "everything", is_flag=True, help="every array and layer in the table")
@click.option(
    "--svg",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="draw the network into this file",
)
def inspect_(
    path: str, as_document: bool, everything: bool, picture: Path | None, **where: Any
) -> None:
    """Say what made a model, and what is in it.

    \b
    sagelocal model inspect model.tar.gz
    sagelocal model inspect model-output/model --json
    sagelocal model inspect model.tar.gz --svg network.svg
    sagelocal model inspect s3://my-bucket/my-job/output/model.tar.gz --here

    MODEL is a model.tar.gz, a folder or a single file of one. Nothing in it is run: pickles are
    read and not unpickled. The exit status is 1 if it cannot be read.
    """
    with _told(), _local(path, Where(**where)) as place, opened(place) as files:
        found = inspect(files)
        if picture is not None:
            _draw(found, picture)
        if as_document:
            click.echo(as_json(found, files), nl=False)
        else:
            click.echo(table(found, files, everything=everything), nl=False)


@model.command("export")
@_model_argument
@click.option("--to", "target", required=True, type=click.Choice(tuple(NAMES)), help="whose format")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="the file or, of a SavedModel, folder to write",
)
def export_(path: str, target: Target, output: Path | None, **where: Any) -> None:
    """Write a model in another library's format.

    \b
    --to onnx        model.onnx: XGBoost, Linear Learner, K-Means, PCA, k-NN, Factorization
                     Machines, and MXNet's networks, Image Classification's among them
    --to sklearn     model.joblib: Linear Learner, K-Means, PCA, k-NN
    --to xgboost     model.json, or --output model.ubj: XGBoost, whatever it was saved as
    --to savedmodel  savedmodel/1: Linear Learner, K-Means, PCA, Factorization Machines

    \b
    sagelocal model export model.tar.gz --to onnx
    sagelocal model export model.tar.gz --to xgboost --output model.ubj
    sagelocal model export s3://my-bucket/my-job/output/model.tar.gz --to sklearn

    Nothing that the model brings is run. A file that is there is replaced, a folder is not. The
    exit status is 1 if the model cannot be read or has no such form; the message says which it has.
    """
    with _told(), _local(path, Where(**where)) as place, opened(place) as files:
        done = export(inspect(files), target, output)
        click.echo(f"{done.path}: {done.says}")
        for note in done.notes:
            click.echo(f"note: {note}")


@contextmanager
def _told() -> Iterator[None]:
    """Errors in the command's words."""
    try:
        yield
    except (ModelError, CloudError) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _local(path: str, where: Where) -> Iterator[Path]:
    """The model on this machine, inside; downloaded if it is in S3. Raises CloudError."""
    if not path.startswith(_S3):
        yield Path(path)
        return
    uri = S3Uri.parse(path)
    with tempfile.TemporaryDirectory(prefix="sagelocal-model-") as folder:
        if uri.key.endswith("/") or not uri.key:
            target = Path(folder, "model")
            download_prefix(where.account(), uri, target)
        else:
            target = Path(folder, Path(uri.key).name)
            download(where.account(), uri, target)
        yield target


def _draw(found: Model, picture: Path) -> None:
    if found.network is None:
        raise ModelError(
            f"{found.says} has no network that could be drawn; leave out --svg. Networks of MXNet "
            "and ONNX, Linear Learner and Factorization Machines have one"
        )
    try:
        picture.write_text(svg(found.network, f"{found.says}: {found.because}"))
    except OSError as error:
        raise ModelError(f"{picture} cannot be written: {error.strerror}") from error
    click.echo(f"network drawn: {picture}", err=True)

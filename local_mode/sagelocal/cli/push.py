"""`sagelocal push`: an image of this machine into a repository of ECR."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any, TextIO

import click

from sagelocal.account import Account, CloudError, Refused, is_denial
from sagelocal.push.engine import Engine
from sagelocal.push.faults import PushError
from sagelocal.push.layers import Layers
from sagelocal.push.repository import Wanted
from sagelocal.push.run import Progress, Result, foretell, plan
from sagelocal.push.run import push as run_push
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

STOPPED_STATUS = 130  # what a shell gives for a command that Ctrl-C ended
TICK_SECONDS = 0.2
# What a push asks of a role (ECR user guide, "IAM permissions for pushing an image").
_PERMISSIONS = (
    "ecr:GetAuthorizationToken, ecr:CreateRepository, ecr:DescribeRepositories, "
    "ecr:DescribeImages, ecr:BatchGetImage, ecr:BatchCheckLayerAvailability, "
    "ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage"
)
# ECR API reference, CreateRepository.
_NAME = re.compile(r"(?=.{2,256}$)[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--repository", metavar="NAME", help="the repository; the image's own name if unset")
@click.option("--tag", help="the tag there; the image's own if unset")
@click.option("--scan-on-push", is_flag=True, help="of a repository that is made: scan its images")
@click.option(
    "--immutable-tags", is_flag=True, help="of a repository that is made: a tag cannot move"
)
@click.option("--alone", is_flag=True, help="no list of IMAGE-amd64 and IMAGE-arm64")
@click.option("--region", help="the region of the repository; your configuration's if unset")
@click.option("--profile", help="the profile of your AWS configuration")
@click.option("--dry-run", is_flag=True, help="say what would be done, and change nothing")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def push(image: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Push an image to ECR: make the repository, log in, send what is not there.

    \b
    sagelocal push my-image:1
    sagelocal push linear-learner --repository team/linear --tag 2024-06 --immutable-tags

    IMAGE is a tag that Docker knows or a family that `sagelocal images` shows. Credentials, region
    and endpoint are those that boto3 finds. Where IMAGE-amd64 and IMAGE-arm64 are both there, both
    are pushed, and the tag becomes a list of them. What is printed is the image's URI by its
    digest; how it goes is on standard error. A push that broke off goes on where it was when it is
    started again.
    """
    name = _tag(image)
    wanted = Wanted(
        options["repository"] or _repository(name),
        scan_on_push=options["scan_on_push"],
        immutable_tags=options["immutable_tags"],
    )
    _check(wanted.name, options["tag"])
    progress: _Plain = _Live(sys.stderr) if sys.stderr.isatty() else _Plain(sys.stderr)
    try:
        engine = Engine()
        try:
            what = plan(engine, name, options["tag"], alone=options["alone"])
            account = Account.cloud(options["region"], options["profile"], "ecr")
            if dry_run:
                click.echo("\n".join(foretell(account, wanted, what)))
                return
            result = run_push(engine, account, wanted, what, progress)
        finally:
            progress.end()
            engine.close()
    except (PushError, CloudError) as error:
        denied = isinstance(error, Refused) and is_denial(error)
        needs = f" A push needs {_PERMISSIONS}." if denied else ""
        raise click.ClickException(f"{error}{needs}") from error
    except KeyboardInterrupt:
        click.echo(
            "Interrupted. Layers that were sent are kept: the same command sends the rest.",
            err=True,
        )
        sys.exit(STOPPED_STATUS)
    _tell(result, as_json)


def _tell(result: Result, as_json: bool) -> None:
    if advice := result.advice():
        click.echo(advice, err=True)
    click.echo(json.dumps(result.to_json(), indent=2) if as_json else result.uri)


def _tag(name: str) -> str:
    """The image of a family, where the name is one's; else the name itself."""
    try:
        family = ImageCatalog.load().resolve(name)
    except RuntimeFault:
        return name
    return family.tag if family else name


def _repository(name: str) -> str:
    """`team/mine` of `registry.example:5000/team/mine:1`."""
    path = name.partition("@")[0]
    if ":" in path.rpartition("/")[2]:
        path = path.rpartition(":")[0]
    first, _, rest = path.partition("/")
    return rest if rest and ("." in first or ":" in first or first == "localhost") else path


def _check(repository: str, tag: str | None) -> None:
    if not _NAME.fullmatch(repository):
        raise click.ClickException(
            f"{repository!r} can be no repository of ECR: lower-case letters, digits and . _ - / "
            "between them. Give a name with --repository."
        )
    if tag is not None and not _TAG.fullmatch(tag):
        raise click.BadParameter(f"{tag!r} can be no tag of an image", param_hint="--tag")


class _Plain(Progress):
    """Progress as plain lines, for files and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def layers(self, layers: Layers) -> None:
        """Lines alone tell how it goes."""

    def end(self) -> None:
        """Nothing to clear."""


class _Live(_Plain):
    """The same above a line that shows how much is sent."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._drawn = self._began = time.monotonic()

    def line(self, text: str) -> None:
        self.end()
        super().line(text)

    def layers(self, layers: Layers) -> None:
        now = time.monotonic()
        if now - self._drawn >= TICK_SECONDS:
            self._drawn = now
            rate = layers.bytes_sent / 1e6 / (now - self._began)
            self._out.write(f"\r\x1b[K{layers.told()}, {rate:.1f} MB/s (Ctrl-C stops it)")
            self._out.flush()

    def end(self) -> None:
        self._out.write("\r\x1b[K")
        self._out.flush()

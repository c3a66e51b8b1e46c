"""What an endpoint's image is called where it is going to run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagelocal.export.description import ExportError
from sagelocal.export.targets import Target
from sagelocal.runtime.images import ImageCatalog

_ECR = re.compile(r"^(?P<account>\d{12})\.dkr[.-]ecr[.-]")
_LOOPBACK = ("localhost", "127.", "[::1]", "172.17.", "host.docker.internal")


@dataclass(frozen=True)
class Image:
    """`name` is where it runs, `base` at this machine's Docker engine."""

    name: str
    base: str


def image_of(
    image: str,
    target: Target,
    given: str | None,
    *,
    catalog: ImageCatalog | None,
    account: str | None,
) -> Image:
    """The endpoint's `image` for a target; `given` is what the user calls it there.

    `account` is that of this machine's plane, None in the cloud. Raises ExportError for an image
    that only this machine has.
    """
    family = catalog.resolve(image) if catalog else None
    base = family.tag if family else image
    if not target.runs_elsewhere:
        return Image(given or base, given or base)
    name = given or image
    why = _why_nobody_else_has(name, account)
    if why is None and family and not given:
        why = f"is answered here by {base}, and that registry has another one"
    if why is None and target.name == "lambda" and not _ECR.match(name):
        why = "is not in ECR, and AWS Lambda takes images from there only"
    if why is None:
        return Image(name, base)
    what = (
        "give the URI in ECR that the function's image shall have, --image URI, and push it there "
        "as the export's README.md says (`sagelocal push IMAGE`)"
        if target.name == "lambda"
        else f"run `sagelocal push {base}`, and give the URI that it prints: --image URI"
    )
    raise ExportError(f"the image {name} {why}; {what}")


def _why_nobody_else_has(name: str, account: str | None) -> str | None:
    host, slash, _ = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        return "is in no registry"
    if host.startswith(_LOOPBACK):
        return "is in a registry of this machine"
    match = _ECR.match(host)
    if match and account and match["account"] == account and not account.strip("0"):
        return "is in a registry of this machine's control plane"
    return None

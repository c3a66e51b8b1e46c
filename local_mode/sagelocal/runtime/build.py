"""Build the families' Docker images, each after what it builds on, with the docker command.

The same as `docker build -f containers/FAMILY/Dockerfile -t TAG .` from the checkout's root by
hand; this knows the order, the tags, the labels and the base.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sagelocal.runtime.images import PYTHON, ImageCatalog, ImageFamily
from sagelocal.runtime.interface import RuntimeFault, RuntimeUnavailable

# Who has a private certificate authority names its bundle in one of these.
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def build_images(images: ImageCatalog, names: Iterable[str]) -> tuple[str, ...]:
    """Build these families and their bases, showing the builder's output; the tags, in order.

    A name is anything that the family answers to. Raises RuntimeFault: UnknownImage for a name that
    means no family, RuntimeUnavailable without Docker, and for a build that failed.
    """
    order = _order(images, names)
    if shutil.which("docker") is None:
        raise RuntimeUnavailable("The docker command is not on PATH; install it to build images.")
    _offer_certificates(images.root)
    for family in order:
        _build(images, family)
    return tuple(family.tag for family in order)


def build_folder(folder: Path, tag: str) -> None:
    """Build an image of a user's own, with its folder as the context. Raises RuntimeFault."""
    if shutil.which("docker") is None:
        raise RuntimeUnavailable("The docker command is not on PATH; install it to build images.")
    if subprocess.run(["docker", "build", "--tag", tag, str(folder)]).returncode:
        raise RuntimeFault(f"{folder} could not be built; the last lines above say why.")


def _order(images: ImageCatalog, names: Iterable[str]) -> tuple[ImageFamily, ...]:
    ordered: dict[str, ImageFamily] = {}
    for name in names:
        family = images.resolve(name) or next(
            (known for known in images.families if name in known.names), None
        )
        if family is None:
            raise images.unknown(name, "Give one of the names known here: `sagelocal build NAME`.")
        ordered.update((part.family, part) for part in images.chain(family))
    return tuple(ordered.values())


def _build(images: ImageCatalog, family: ImageFamily) -> None:
    if not family.dockerfile.is_file():
        raise RuntimeFault(f"The family {family.family!r} has no {family.dockerfile}.")
    base = _python_image(images) if family.base == PYTHON else images.chain(family)[-2].tag
    labels = [f"--label={key}={value}" for key, value in family.labels.items()]
    index = ["--build-arg", f"EXTRA_INDEX={family.extra_index}"] if family.extra_index else []
    command = [
        *("docker", "build", "--force-rm", "--file", str(family.dockerfile), "--tag", family.tag),
        *("--build-arg", f"BASE_IMAGE={base}", *index, *labels, str(images.root)),
    ]
    if subprocess.run(command).returncode:
        raise RuntimeFault(
            f"The image {family.tag} could not be built; the last lines above say why. "
            "Is a Docker engine running (`docker version`), and does the package index answer?"
        )


def _python_image(images: ImageCatalog) -> str:
    """python:3.11-slim, or the equal that make_base.sh makes where it cannot be pulled."""
    script = images.containers_dir / "base" / "make_base.sh"
    done = subprocess.run(["sh", str(script)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeFault(
            "There is no image with Python 3.11 to build on; the last lines above say why."
        )
    return done.stdout.strip()


def _offer_certificates(root: Path) -> None:
    """Put the machine's private CA bundle where the build stages look; no image keeps it."""
    offered = root / ".build" / "ca.pem"
    if offered.exists():
        return
    for variable in _CA_VARIABLES:
        bundle = Path(os.environ.get(variable, ""))
        if bundle.is_file():
            offered.parent.mkdir(exist_ok=True)
            shutil.copyfile(bundle, offered)
            return

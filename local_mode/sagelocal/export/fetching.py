"""How a model gets from S3 to its container: what runs before it, on a volume of both.

AWS's own image of the CLI has no tar (aws-cli issue 5106), so an archive is fetched by one
container and unpacked by another. Of a folder of archives each is; what is none is left out, for it
fails in SageMaker only when it is called. Files belong to who runs the container, and all may read
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sagelocal.export.description import Files, Service

AWS_CLI = "public.ecr.aws/aws-cli/aws-cli:2.31.23"
BUSYBOX = "public.ecr.aws/docker/library/busybox:1.36"
ARCHIVES = "/archives"
_UNPACK_EACH = (
    "cd {archives} && find . -type f | while read -r file; do "
    'name=$(printf %s "${{file#./}}" | sha256sum | cut -c 1-32) && '
    "mkdir -p {folder}/$name/model && "
    '{{ tar -x -z -o -f "$file" -C {folder}/$name/model || rm -r {folder}/$name; }} || exit 1; '
    "done && chmod -R a+rX {folder}"
)
_UNPACK = "tar -x -z -o -f {archive} -C {folder} && chmod -R a+rX {folder}"


@dataclass(frozen=True)
class Step:
    """A container that runs to its end before the next. `volumes` are folders by their name."""

    name: str
    image: str
    arguments: tuple[str, ...]
    volumes: Mapping[str, str]
    reads_s3: bool = False


def steps(service: Service) -> tuple[Step, ...]:
    """Those of all model data of a variant, in their order."""
    return tuple(step for files in service.files for step in _steps(files))


def volumes(service: Service) -> tuple[str, ...]:
    """The names of all volumes that the steps and the container share."""
    return tuple(dict.fromkeys(name for step in steps(service) for name in step.volumes))


def _steps(files: Files) -> Iterator[Step]:
    # Where the container has it may be taken by that of another container of a pipeline.
    folder, name = (f"/{files.folder}" if files.stage else files.data.target), files.folder
    if files.data.layout == "archive":
        archive = f"{ARCHIVES}/{name}.tar.gz"
        yield Step(
            f"fetch-{name}",
            AWS_CLI,
            ("s3", "cp", "--no-progress", files.url, archive),
            {"archives": ARCHIVES},
            reads_s3=True,
        )
        yield Step(
            f"unpack-{name}",
            BUSYBOX,
            ("sh", "-c", _UNPACK.format(archive=archive, folder=folder)),
            {"archives": ARCHIVES, name: folder},
        )
    elif files.is_shelf:
        archives = f"{ARCHIVES}/{name}"
        yield Step(
            f"fetch-{name}",
            AWS_CLI,
            ("s3", "cp", "--no-progress", "--recursive", files.url, f"{archives}/"),
            {"archives": ARCHIVES},
            reads_s3=True,
        )
        yield Step(
            f"unpack-{name}",
            BUSYBOX,
            ("sh", "-c", _UNPACK_EACH.format(archives=archives, folder=folder)),
            {"archives": ARCHIVES, name: folder},
        )
    else:
        more = ("--recursive",) if files.data.layout == "prefix" else ()
        yield Step(
            f"fetch-{name}",
            AWS_CLI,
            ("s3", "cp", "--no-progress", *more, files.url, f"{folder}/"),
            {name: folder},
            reads_s3=True,
        )

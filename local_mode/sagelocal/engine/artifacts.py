"""What a job leaves: /opt/ml/model and /opt/ml/output/data on their way to S3.

Where they go: SageMaker developer guide, "How Amazon SageMaker Processes Training Output". An
archive is written straight into the object store, and the same files give the same bytes, so that
an upload which was interrupted can be repeated.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sagelocal.domain.names import S3Uri
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.opt_ml import OptMl
from sagelocal.store.objects import NoSuchBucket, ObjectStore

# Weights hardly compress; the fastest level costs a quarter of the time of the default one.
GZIP_LEVEL = 1


class UploadError(Exception):
    """What the job left could not be stored; fit for a FailureReason."""


class Target(Protocol):
    """Where an archive is written to."""

    def write(self, chunk: bytes, /) -> object: ...


@dataclass(frozen=True)
class Entry:
    """A file, folder or link, and its path in the archive."""

    source: Path
    name: str


def model_uri(spec: TrainingSpec, job_name: str) -> S3Uri:
    """What DescribeTrainingJob gives as S3ModelArtifacts."""
    output = spec.job_output(job_name)
    name = "model.tar.gz" if spec.output_compressed else "model/"
    return S3Uri(output.bucket, f"{output.key}/{name}")


def upload(objects: ObjectStore, spec: TrainingSpec, job_name: str, hosts: Sequence[OptMl]) -> None:
    """Store the model, and the output data if there is any. Raises UploadError.

    The folders of several hosts make one archive; a path that two of them have is taken from the
    first.
    """
    try:
        _upload_folders(objects, spec, job_name, "model", [host.model for host in hosts])
        _upload_folders(objects, spec, job_name, "output", [host.output_data for host in hosts])
    except NoSuchBucket as error:
        raise UploadError(
            f"Artifact upload failed: the bucket of S3OutputPath {spec.output} does not exist"
        ) from error
    except OSError as error:
        raise UploadError(f"Artifact upload failed: {error}") from error


def entries(folders: Sequence[Path]) -> Sequence[Entry]:
    """Everything below the folders, in the order of the paths; a folder before what it holds."""
    found: dict[str, Entry] = {}
    for folder in folders:
        for path in _walk(folder):
            name = path.relative_to(folder).as_posix()
            found.setdefault(name, Entry(path, name))
    return [found[name] for name in sorted(found)]


def write_archive(target: Target, members: Sequence[Entry]) -> None:
    """A gzipped tar of the members, as nobody's files, with their times and permissions."""
    with (
        gzip.GzipFile(
            filename="", mode="wb", fileobj=_Sink(target), mtime=0, compresslevel=GZIP_LEVEL
        ) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.GNU_FORMAT) as archive,
    ):
        for member in members:
            _add(archive, member)


def _upload_folders(
    objects: ObjectStore, spec: TrainingSpec, job_name: str, kind: str, folders: Sequence[Path]
) -> None:
    members = entries(folders)
    if not any(stat.S_ISREG(m.source.lstat().st_mode) for m in members):
        return
    output = spec.job_output(job_name)
    if not spec.output_compressed:
        for member in members:
            if _is_file_of(folders, member.source):
                key = f"{output.key}/{kind}/{member.name}"
                objects.put_file(output.bucket, key, member.source)
        return
    with objects.incoming() as incoming:
        write_archive(incoming, members)
        objects.put(output.bucket, f"{output.key}/{kind}.tar.gz", incoming)


def _is_file_of(folders: Sequence[Path], source: Path) -> bool:
    """A file, or a link to one that lies in the folders too: others lead out of the container."""
    if not source.is_file():
        return False
    file = source.resolve()
    return any(file.is_relative_to(folder.resolve()) for folder in folders)


def _walk(folder: Path) -> Iterator[Path]:
    if folder.is_symlink():
        return  # The container put it there; it leads wherever its author likes.
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def _add(archive: tarfile.TarFile, member: Entry) -> None:
    info = archive.gettarinfo(member.source, member.name)
    # Sockets (None), pipes and devices mean nothing on another machine.
    if info is None or not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
        return
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = int(info.mtime)
    if info.isreg():
        with member.source.open("rb") as content:
            archive.addfile(info, content)
    else:
        archive.addfile(info)


class _Sink:
    """The file that GzipFile wants, on what only has `write`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def write(self, chunk: bytes, /) -> object:
        return self._target.write(chunk)

    def flush(self) -> None:
        """Nothing is kept here."""

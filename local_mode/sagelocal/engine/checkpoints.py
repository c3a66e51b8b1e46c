"""Checkpoints: a folder of the container and a prefix in S3, kept in step.

As the cloud does it (SageMaker developer guide, "Use checkpoints in Amazon SageMaker"): what is
below the prefix is in the folder before the container starts; what the container writes there goes
to S3 while it runs; what it deletes there is deleted in S3. What others add to the prefix meanwhile
does not come to the container.

The folder is looked through every half second: with containers that may write through any mount, a
scan sees what an event queue can miss, and a folder of checkpoints is small. A file is taken once
two scans find it unchanged, so that one which is being written is not; after the container's end
everything is taken as it is.

What S3 has of the folder is remembered in a file beside it. A plane that takes up a job after
`kill -9` goes on from there: at worst it repeats an upload or a deletion.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sagelocal.domain.names import S3Uri
from sagelocal.store.object_files import clone
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectInfo, ObjectStore

SCAN_SECONDS = 0.5
# At most this share of the time goes into scanning a folder with very many files.
_SCAN_SHARE = 0.1

# Size, time of the last change in nanoseconds, inode: any write or replacement changes one of them.
Signature = tuple[int, int, int]

log = logging.getLogger(__name__)


class CheckpointError(Exception):
    """Checkpoints could not be restored or stored; fit for a FailureReason."""


@dataclass
class CheckpointFolder:
    """One host's checkpoints: `folder` on this machine, `memory` the file beside it.

    Another folder may be kept in the same way: `content` is what an error calls its files.
    `memory` lies in a folder that the container does not see and that holds `folder`. Not to be
    used from two threads at once.
    """

    objects: ObjectStore
    uri: S3Uri
    folder: Path
    memory: Path
    content: str = "Checkpoint"

    def __post_init__(self) -> None:
        self._stored: dict[str, Signature] = self._remembered()
        self._seen: dict[str, Signature] = {}

    def restore(self, check: Callable[[], None] = lambda: None) -> None:
        """Fill the folder from S3. `check` is called between objects. Raises CheckpointError."""
        try:
            for info in self.objects.list(self.uri.bucket, self._prefix):
                check()
                if not info.key.endswith("/"):
                    self._restore_one(info)
        except NoSuchBucket as error:
            raise CheckpointError(
                f"The bucket of the CheckpointConfig's S3Uri {self.uri} does not exist; create it "
                f"with `aws s3 mb s3://{self.uri.bucket}`"
            ) from error
        self._remember()

    def sync(self, *, final: bool = False) -> None:
        """Bring S3 in step with the folder; `final` takes files that may still be changing.

        Goes on past a file that cannot be stored, and raises CheckpointError for the first.
        """
        if not self._is_in_place():
            return
        closed: list[Path] = []
        found = dict(self._scan(closed))
        fault = self._store(found, final)
        gone = {
            name
            for name in self._stored.keys() - found.keys()
            if not any((self.folder / name).is_relative_to(folder) for folder in closed)
        }
        for name in sorted(gone):
            self.objects.delete(self.uri.bucket, self._key(name))
            del self._stored[name]
        if gone:
            self._remember()
        self._seen = found
        if fault is not None:
            raise fault

    def _is_in_place(self) -> bool:
        """Whether the folder is there, and no link that the container put in its place."""
        root = self.memory.parent
        there = root.resolve() / self.folder.relative_to(root)
        return self.folder.resolve() == there and there.is_dir()

    @property
    def _prefix(self) -> str:
        prefix = self.uri.key.strip("/")
        return f"{prefix}/" if prefix else ""

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _restore_one(self, info: ObjectInfo) -> None:
        name = info.key.removeprefix(self._prefix).lstrip("/")
        if ".." in name.split("/"):
            raise CheckpointError(
                f"The key {info.key!r} cannot be the name of a file below the checkpoints' folder"
            )
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.objects.stage(info, target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise CheckpointError(
                f"s3://{info.bucket}/{info.key} cannot lie beside the other checkpoints: a file "
                "would have to be a folder too, or two objects have one path"
            ) from error
        except NoSuchKey:
            return  # Deleted or replaced by somebody else at this moment: not restored.
        self._stored[name] = _signature(target.lstat())

    def _store(self, found: dict[str, Signature], final: bool) -> CheckpointError | None:
        fault = None
        for name, signature in found.items():
            if self._stored.get(name) == signature:
                continue
            if not final and self._seen.get(name) != signature:
                continue
            try:
                self._store_one(name, signature)
            except (OSError, NoSuchBucket) as error:
                fault = fault or CheckpointError(
                    f"{self.content} upload failed: {name!r} could not be stored below {self.uri}: "
                    f"{error}"
                )
        return fault

    def _store_one(self, name: str, signature: Signature) -> None:
        """Store a copy, and only if the file did not change while it was made."""
        copy = self.memory.with_suffix(".part")
        copy.unlink(missing_ok=True)
        # What lies there now may be a link out of the container's world, or a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(os.open(self.folder / name, flags), "rb") as source:
                clone(Path(f"/dev/fd/{source.fileno()}"), copy)
                unchanged = _signature(os.fstat(source.fileno())) == signature
            if not unchanged:
                return
            self.objects.put_file(self.uri.bucket, self._key(name), copy, consume=True)
        except FileNotFoundError:
            return  # Deleted since the scan; the next one sees it.
        finally:
            copy.unlink(missing_ok=True)
        self._stored[name] = signature
        self._remember()

    def _scan(self, closed: list[Path]) -> Iterator[tuple[str, Signature]]:
        """Every plain file. Links are not followed: they could lead out of the container.

        `closed` gets the folders whose files cannot be seen, which are not gone for that.
        """

        def note(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                closed.append(Path(error.filename))

        for parent, _, names in os.walk(self.folder, onerror=note):
            for name in names:
                path = Path(parent, name)
                try:
                    found = path.lstat()
                    relative = path.relative_to(self.folder).as_posix()
                    relative.encode()
                except PermissionError:  # The folder may be listed and not entered.
                    closed.append(Path(parent))
                    break
                except (FileNotFoundError, UnicodeEncodeError):
                    continue  # Gone again, or no name that a key can have.
                if stat.S_ISREG(found.st_mode):
                    yield relative, _signature(found)

    def _remembered(self) -> dict[str, Signature]:
        try:
            document = json.loads(self.memory.read_text())
        except FileNotFoundError:
            return {}
        return {name: (size, time_ns, inode) for name, (size, time_ns, inode) in document.items()}

    def _remember(self) -> None:
        new = self.memory.with_suffix(".new")
        new.write_text(json.dumps(self._stored))
        new.replace(self.memory)


class CheckpointKeeper:
    """Syncs the checkpoints of all hosts of a job from a thread of its own, while it is entered."""

    def __init__(self, folders: Sequence[CheckpointFolder]) -> None:
        self._folders = folders
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="checkpoints", daemon=True)

    def __enter__(self) -> CheckpointKeeper:
        if self._folders:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def finish(self) -> str | None:
        """Stop, and store what there is at last; what could not be stored, or None."""
        self.__exit__()
        fault = None
        for folder in self._folders:
            try:
                folder.sync(final=True)
            except CheckpointError as error:
                fault = fault or str(error)
            except NoSuchBucket:
                fault = (
                    fault or f"{folder.content} upload failed: the bucket of {folder.uri} is gone"
                )
        return fault

    def _keep(self) -> None:
        wait_seconds = SCAN_SECONDS
        told = ""
        while not self._ending.wait(wait_seconds):
            began = time.monotonic()
            for folder in self._folders:
                try:
                    folder.sync()
                except Exception as error:
                    if str(error) != told and not self._ending.is_set():
                        told = str(error)
                        log.warning("checkpoints of %s: %s", folder.uri, told)
            wait_seconds = max(SCAN_SECONDS, (time.monotonic() - began) / _SCAN_SHARE)


def _signature(found: os.stat_result) -> Signature:
    return found.st_size, found.st_mtime_ns, found.st_ino

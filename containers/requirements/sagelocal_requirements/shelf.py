"""The folder that keeps what requirements.txt brought, so that the next container need not install.

    /opt/ml/.packages/KEY/             a layer; that it is there means that it is whole
                      KEY.lock         held by whoever makes it; the others wait for it
                      .new-...         a layer in the making, which nobody but its maker reads

sagelocal mounts it; in the cloud there is no such folder. A layer gets its name when pip has
succeeded, by a rename: a failure, a stop or a kill leaves none, and where two make the same one at
once all the same (a file system without locks), the first rename counts. Whoever uses a layer holds
a lock on its folder as long as its process lives, and sagelocal removes only those without.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sagelocal_requirements import identity, layer
from sagelocal_requirements.installer import has_pip, installer
from sagelocal_requirements.layer import Layer

log = logging.getLogger(__name__)

SHELF = ".packages"
"""The shelf's name below /opt/ml."""

_NEW = ".new-"


def shelved(
    requirements: Path,
    base: Path,
    variables: Mapping[str, str],
    install: Callable[[list[str]], None],
) -> Layer | None:
    """The packages that `requirements` asks for, from the shelf below `base` (/opt/ml).

    If they are not there, `install` is called with pip's command and should raise what its caller
    is to see if that fails. None if there is no shelf, or this cannot go on it: install without.
    """
    folder = base / SHELF
    if not folder.is_dir() or not has_pip():
        return None
    try:
        asked = identity.request(requirements, variables)
    except identity.Unforeseeable as reason:
        log.info("%s is installed anew: %s", requirements.name, reason)
        return None
    except OSError:
        return None  # Let pip say which file it cannot read.
    key = f"{asked}-{identity.environment(without=folder)}"
    try:
        found = _use(folder / key)
        if found is None:
            with _locked(folder / f"{key}.lock"):
                found = _use(folder / key) or _make(folder / key, requirements, install)
    except OSError as error:  # the shelf's: what `install` raises is its caller's
        log.warning("%s is installed for this container alone: %s", requirements.name, error)
        return None
    log.info("Packages of %s: %s", requirements.name, ", ".join(found.names) or "all there already")
    return found


def _use(folder: Path) -> Layer | None:
    """The layer, which is not removed while this process lives."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if folder.is_dir():
            with contextlib.suppress(PermissionError):
                os.utime(folder)
            log.info("Nothing to install: these packages are kept in %s", folder)
            return Layer(folder)
        os.close(descriptor)
    return None


def _make(folder: Path, requirements: Path, install: Callable[[list[str]], None]) -> Layer:
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder.parent))
    try:
        python = layer.begin(new)
        install([*installer(python), "-r", str(requirements)])
        layer.finish(new)
        new.chmod(0o755)
        try:
            new.rename(folder)
        except OSError:
            # Where locks do nothing, another may have been first; then that one is taken.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return _use(folder) or Layer(folder)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("Another container is installing the same packages; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

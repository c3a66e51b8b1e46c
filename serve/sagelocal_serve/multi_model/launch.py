"""Two kinds of process out of one: the front, which speaks HTTP, and the keeper, its parent.

The keeper is process 1 of a container. The front is told to end when the keeper does, and the
keeper ends, with all models, when the front has.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sagelocal_serve.multi_model.addresses import make_folder
from sagelocal_serve.multi_model.keeper import Keeper
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

_PR_SET_PDEATHSIG = 1  # prctl(2)


def run(settings: Settings, listener: socket.socket, front: Callable[[Path], object]) -> int:
    """Serve many models until the front ends; its exit status.

    `front` runs in a process of its own, which alone has the `listener`, and is given the folder in
    which `Control` and `Relay` find everybody. Call this with the handler's module imported, and
    before there are threads.
    """
    folder = make_folder()
    gc.freeze()  # what is imported stays in pages that all processes share
    keeper = Keeper(settings, folder)
    try:
        keeper.listen()
        process_id = os.fork()
        if not process_id:
            keeper.release()
            _run_front(front, folder)
        listener.close()
        return keeper.run(process_id)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_front(front: Callable[[Path], object], folder: Path) -> NoReturn:
    code = 1
    try:
        _end_with_parent()
        front(folder)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        log.exception("The server failed")
    finally:
        logging.shutdown()
        os._exit(code)


def _end_with_parent() -> None:
    """Ask for SIGTERM when the keeper dies. Where that cannot be, its end is noticed by /ping."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)

"""The console script `serve`: what `docker run IMAGE serve` starts."""

from __future__ import annotations

import logging
import os
import sys

from sagelocal_serve.cpus import usable_cpus
from sagelocal_serve.entry import EntryPointError
from sagelocal_serve.log_format import LOG_FORMAT
from sagelocal_serve.server import PortError, serve
from sagelocal_serve.settings import Settings, SettingsError

log = logging.getLogger("sagelocal_serve")


def main() -> int:
    """Serve as the environment says; 1 with one line on stderr if that is not possible."""
    try:
        settings = Settings.read(os.environ)
        _set_up_process(settings)
        serve(settings)
    except (SettingsError, EntryPointError, PortError) as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1
    except Exception:
        log.exception("serve: %s could not be imported", settings.serving_module)
        return 1
    return 0


def _set_up_process(settings: Settings) -> None:
    """Logging, thread counts and the path, before anything of the user's is imported."""
    logging.basicConfig(stream=sys.stdout, level=settings.log_level, format=LOG_FORMAT)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # what scripts print is seen at once
    threads = settings.omp_threads or max(1, usable_cpus() // settings.worker_count)
    # Numeric libraries read this when they are imported; by default each of the workers would
    # start a thread for every CPU.
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())

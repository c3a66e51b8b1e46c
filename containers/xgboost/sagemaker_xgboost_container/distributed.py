"""`rabit_run(...)`: a script's own training function on all hosts that have rows."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sagelocal_train import Resources, hosts
from sagelocal_xgboost.hosts import Holding, holdings, together, with_rows

logger = logging.getLogger(__name__)


def wait_hostname_resolution(sm_hosts: Sequence[str]) -> None:
    """Return when all these names resolve; raises PlatformError."""
    hosts.wait_until_resolvable(sm_hosts)


def rabit_run(
    exec_fun: Callable[..., Any],
    args: dict[str, Any],
    include_in_training: bool,
    hosts: Sequence[str],
    current_host: str,
    first_port: int | None = None,
    second_port: int | None = None,
    update_rabit_args: bool = False,
) -> None:
    """Call `exec_fun(**args)` while this process and those of the other hosts train as one.

    A host that is not included ends with exit code 0. `update_rabit_args` adds `is_master`, true
    on the first host that is included, which saves the model. The ports are this image's own.
    """
    own = Holding(current_host, rows=int(include_in_training))
    found = holdings(Resources(current_host, tuple(hosts)), own)
    if not include_in_training:
        logger.warning("Host %s not being used for distributed training.", current_host)
        sys.exit(0)
    names = with_rows(found)
    with together(names, current_host):
        if update_rabit_args:
            args.update(is_master=current_host == names[0])
        exec_fun(**args)

"""How code in a container reaches this very plane: the address, and keys that any SDK insists on.

In the cloud a container finds S3 by itself and has the credentials of its role. Here the variables
of the AWS SDKs lead to the plane (AWS SDKs and Tools reference guide, "Service-specific
endpoints"); S3_ENDPOINT_URL is the training toolkit's older name for the same. Nothing is given to
a container without a network.
"""

from __future__ import annotations

import ipaddress
import os

from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings

KEY = "sagelocal"
_NO_PROXY = ("NO_PROXY", "no_proxy")


def service_access(settings: Settings, runtime: Runtime) -> dict[str, str]:
    """The variables of a container that has a network; none if the plane listens nowhere."""
    if settings.port == 0:
        return {}
    host = _host(settings, runtime)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    direct = ",".join(dict.fromkeys([*_without_proxy(), host]))
    return {
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        **dict.fromkeys(_NO_PROXY, direct),
    }


def _host(settings: Settings, runtime: Runtime) -> str:
    """The plane's own address if it listens to the network, else the machine's for containers."""
    try:
        address = ipaddress.ip_address(settings.host)
    except ValueError:
        is_public = settings.host != "localhost"
    else:
        is_public = not (address.is_loopback or address.is_unspecified)
    return settings.host if is_public else runtime.host_address()


def _without_proxy() -> list[str]:
    """What this machine reaches without its proxy stays so."""
    given = next((os.environ[name] for name in _NO_PROXY if os.environ.get(name)), "")
    return [part.strip() for part in given.split(",") if part.strip()]

"""The variables under which unmodified AWS clients talk to a local control plane."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib import resources

ACCESS_KEY = "sagelocal"
DEFAULT_REGION = "us-east-1"


def client_environment(url: str, current: Mapping[str, str]) -> dict[str, str]:
    """What to set, given what is set now: the plane's address, keys and region that any client
    insists on, the start-up hook for Python clients (see `sagelocal/hook/sitecustomize.py`) and,
    where there is Docker, a `docker` that keeps pushes to ECR here (see `sagelocal/hook/bin`).

    A region that is set stays; credentials are replaced, so that real ones are never sent here.
    """
    region = current.get("AWS_REGION") or current.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": _first("", current.get("PYTHONPATH", "")),
    }
    if shutil.which("docker", path=current.get("PATH")):
        variables["PATH"] = _first("bin", current.get("PATH", ""))
        variables["SAGELOCAL_PYTHON"] = sys.executable
    no_proxy = current.get("NO_PROXY") or current.get("no_proxy")
    if no_proxy is not None and "127.0.0.1" not in no_proxy:
        variables["NO_PROXY"] = variables["no_proxy"] = f"{no_proxy},127.0.0.1,localhost"
    return variables


def variables_to_remove(current: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that would win over the ones above: profiles, tokens, per-service addresses."""
    names = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
    per_service = tuple(name for name in current if name.startswith("AWS_ENDPOINT_URL_"))
    return tuple(name for name in names if name in current) + per_service


def _first(folder: str, path: str) -> str:
    """A folder of the hook before everything else that a path lists, and only there."""
    hook = str(resources.files("sagelocal") / "hook" / folder).rstrip(os.sep)
    rest = [part for part in path.split(os.pathsep) if part and part != hook]
    return os.pathsep.join([hook, *rest])

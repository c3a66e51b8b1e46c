"""What pip could not do, and the next step: one sentence or two for a FailureReason.

pip says the cause in some line of many (pip's documentation, "Dependency Resolution" and its
messages of versions 22 to 26); with no network it says that the package does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_NO_NETWORK = re.compile(
    r"connection broken by|Failed to establish a new connection|Max retries exceeded"
    r"|Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|Could not fetch URL|dns error|error sending request|Could not connect"
)
_UNSATISFIED = re.compile(
    r"Could not find a version that satisfies the requirement (?P<wanted>.+?) "
    r"\(from versions: (?P<versions>.*?)\)"
)
_UNMATCHED = re.compile(r"No matching distribution found for (?P<wanted>.+)$", re.M)
_UV_UNMATCHED = re.compile(r"Because (?P<wanted>\S+) was not found in the package registry")
_FETCHED = re.compile(r"/simple/(?P<wanted>[A-Za-z0-9._-]+)/")
_CONFLICT = re.compile(r"Cannot install (?P<wanted>.+) because .*conflicting dependencies", re.M)
_PYTHON = re.compile(
    r"Package '(?P<wanted>[^']+)' requires a different Python: (?P<has>\S+) not in '(?P<needs>.+?)'"
)
_UNBUILT = (
    re.compile(
        r"Failed to build installable wheels for some \S+ based projects \((?P<wanted>.+)\)"
    ),
    re.compile(r"Could not build wheels for (?P<wanted>[^,\n]+)"),
    re.compile(r"Failed building wheel for (?P<wanted>\S+)"),
    re.compile(r"Failed to build '?(?P<wanted>[^'\n]+?)'?(?: when .*)?$", re.M),
)
_INVALID = re.compile(r"Invalid requirement: (?P<wanted>.+)$", re.M)
_NO_FILE = re.compile(r"No such file or directory: '(?P<wanted>[^']+)'")
_NOT_A_PLACE = re.compile(
    r"Requirement '(?P<wanted>[^']+)' looks like a filename, but the file does not exist"
)
_FULL_DISK = re.compile(r"No space left on device")
_DIFFERENT_HASH = re.compile(r"THESE PACKAGES DO NOT MATCH THE HASHES")
_NOT_THERE = (_UNSATISFIED, _UNMATCHED, _UV_UNMATCHED)
_MOST_VERSIONS = 5


def explain(output: str) -> str | None:
    """Why the installation failed, with the package's name; None if pip says none of what is known.

    >>> explain("ERROR: No matching distribution found for nosuch==9")
    "'nosuch==9' is not in the package index that was asked: correct its name or version in ..."
    """
    return next((said for ask in _QUESTIONS if (said := ask(output)) is not None), None)


def _named(wanted: str) -> str:
    """`name>=2 (from other)` as people say it; that our own file asks goes without saying."""
    requirement, _, by = wanted.removesuffix(")").partition(" (from ")
    asked_by = f", which '{by}' needs," if by and not by.startswith("-r ") else ""
    return f"'{requirement}'{asked_by}"


def _network(output: str) -> str | None:
    if not _NO_NETWORK.search(output):
        return None
    missing = _UNSATISFIED.search(output) or _UNMATCHED.search(output) or _FETCHED.search(output)
    if missing is None:
        return None
    return (
        f"{_named(missing['wanted'])} cannot be fetched: the package index does not answer from "
        "this container. Give it a network (no EnableNetworkIsolation, an index that answers), "
        "install the packages when the image is built, or put their wheels beside the script and "
        "name them in requirements.txt (./NAME.whl)"
    )


def _missing(output: str) -> str | None:
    if found := _UNSATISFIED.search(output):
        versions = [text for part in found["versions"].split(",") if (text := part.strip())]
        if versions and versions != ["none"]:
            shown = ", ".join(versions[-_MOST_VERSIONS:])
            return (
                f"{_named(found['wanted'])} is not in the package index that was asked, which has "
                f"the versions {shown} for this Python: name one of them in requirements.txt"
            )
    found = next((f for ask in _NOT_THERE if (f := ask.search(output))), None)
    if found is not None:
        return (
            f"{_named(found['wanted'])} is not in the package index that was asked: correct its "
            "name or version in requirements.txt, or name its index in PIP_EXTRA_INDEX_URL"
        )
    return None


def _conflict(output: str) -> str | None:
    if found := _CONFLICT.search(output):
        return (
            f"{found['wanted']} cannot be installed together, as they need different versions of "
            "a package: loosen or remove one of them in requirements.txt"
        )
    return None


def _python(output: str) -> str | None:
    if found := _PYTHON.search(output):
        return (
            f"'{found['wanted']}' needs Python {found['needs']}, and this image has "
            f"{found['has']}: name a version for this Python in requirements.txt"
        )
    return None


def _disk(output: str) -> str | None:
    if _FULL_DISK.search(output):
        return "No space is left on the disk that the packages go to: free some, or ask for fewer"
    return None


def _unbuilt(output: str) -> str | None:
    for pattern in _UNBUILT:
        if found := pattern.search(output):
            return (
                f"'{found['wanted'].strip()}' could not be built from its source: name a version "
                "that has a wheel for this Python, or add what its build needs to the image"
            )
    return None


def _invalid(output: str) -> str | None:
    if found := _INVALID.search(output):
        return f"requirements.txt has a line that is no requirement: {found['wanted']}"
    if found := _NOT_A_PLACE.search(output) or _NO_FILE.search(output):
        return (
            f"requirements.txt names the file '{found['wanted']}', which is not there: put it "
            "beside the script, or correct its name"
        )
    return None


def _hashes(output: str) -> str | None:
    if _DIFFERENT_HASH.search(output):
        return (
            "What the package index gave has other hashes than requirements.txt names: compile it "
            "anew, or ask the index's owner what changed"
        )
    return None


# First what pip says only of what it has fetched: retries before it have led somewhere. A build
# that fetches its own tools is in vain without a network, so that comes before a failed build.
_QUESTIONS: tuple[Callable[[str], str | None], ...] = (
    _disk,
    _conflict,
    _python,
    _hashes,
    _network,
    _missing,
    _unbuilt,
    _invalid,
)

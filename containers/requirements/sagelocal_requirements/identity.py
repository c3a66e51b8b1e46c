"""What a requirements.txt asks for of an environment, as a key under which the answer is kept.

The key is a hash of

- the requirement lines, with those of the files that `-r` and `-c` name, and the content of the
  wheels and archives that they name beside them;
- the variables by which pip is told where to look and what to take;
- the environment: Python, machine, C library, and the packages that are there already.

Comments and the passwords in addresses of indexes are no part of it; `${NAME}` counts as what the
variable says. Not everything can be told beforehand: what is at the end of a URL, or in a folder
that is being worked on, may change, and then nothing may be kept. (pip's documentation,
"Requirements File Format".)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_PRE"),
    *("PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_NO_DEPS", "PIP_CONFIG_FILE"),
)
_FORMAT = "1"
_DIGITS = 24
_NESTED = ("-r", "--requirement", "-c", "--constraint")
_EDITABLE = ("-e", "--editable")
_FIND_LINKS = ("-f", "--find-links")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_PASSWORD = re.compile(r"//[^/@\s]*@")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_NAMED = re.compile(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@\s*(?P<place>.+)")
_URL = re.compile(r"[a-z][a-z+]*://")
_FIXED = re.compile(r"@[0-9a-f]{40}\b|--hash=|#sha256=")
_SITES = ("site-packages", "dist-packages")


class Unforeseeable(Exception):
    """What would be installed may differ from one time to the next; the text names the line."""


def request(requirements: Path, variables: Mapping[str, str]) -> str:
    """What is asked for, whatever the environment. Raises Unforeseeable, and OSError."""
    digest = hashlib.sha256(_FORMAT.encode())
    folder = requirements.parent
    for part in _parts(requirements, folder, variables, seen=set()):
        digest.update(part + b"\0")
    for name in VARIABLES:
        if value := variables.get(name):
            digest.update(f"{name}={_PASSWORD.sub('//', value)}\0".encode())
    for constraints in variables.get("PIP_CONSTRAINT", "").split():
        for part in _parts(Path(constraints), folder, variables, seen=set()):
            digest.update(part + b"\0")
    return digest.hexdigest()[:_DIGITS]


def environment(without: Path) -> str:
    """What things are installed on top of; packages below the folder `without` do not count."""
    libc = ""
    # Not every C library is GNU's, and another one refuses the question.
    with contextlib.suppress(ValueError, OSError):
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    digest = hashlib.sha256(f"{sys.version}\0{sysconfig.get_platform()}\0{libc}".encode())
    for name in sorted(set(_installed(without))):
        digest.update(f"{name}\0".encode())
    return digest.hexdigest()[:_DIGITS]


def _installed(without: Path) -> Iterator[str]:
    """Names and versions, as their folders are called."""
    for place in map(Path, sys.path):
        if place.name in _SITES and not place.is_relative_to(without) and place.is_dir():
            for entry in os.listdir(place):
                if entry.endswith((".dist-info", ".egg-info")):
                    yield entry


def _parts(
    path: Path, folder: Path, variables: Mapping[str, str], seen: set[Path]
) -> Iterator[bytes]:
    """The lines of a file and what they lead to. `folder` is where pip will run."""
    path = path.resolve()
    if path in seen:
        return
    seen.add(path)
    for written in _lines(path.read_text(encoding="utf-8-sig", errors="surrogateescape")):
        line = _VARIABLE.sub(lambda found: variables.get(found[1]) or found[0], written)
        told = _PASSWORD.sub("//", written)
        yield _PASSWORD.sub("//", line).encode(errors="surrogateescape")
        option, value = _option(line)
        if option in _EDITABLE:
            raise Unforeseeable(f"`{told}` is installed as a link to files that may change")
        if option in _NESTED:
            if _URL.match(value):
                raise Unforeseeable(f"`{told}` is at an address whose content may change")
            yield from _parts(path.parent / value, folder, variables, seen)
        elif option in _FIND_LINKS:
            yield from _folder(folder / value.removeprefix("file://"))
        elif not option.startswith("-"):
            yield from _place(line, told, folder)


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        if bare := _COMMENT.sub("", line).strip():
            yield bare


def _option(line: str) -> tuple[str, str]:
    """`-r more.txt`, `--requirement=more.txt` and `-rmore.txt` as option and value."""
    word, _, rest = line.partition(" ")
    if word.startswith("--"):
        name, _, value = word.partition("=")
        return name, value or rest.strip()
    if word.startswith("-"):
        return word[:2], word[2:] or rest.strip()
    return word, rest


def _place(line: str, told: str, folder: Path) -> Iterator[bytes]:
    """The content of a file that a line names instead of a package; `told` is it in a message."""
    named = _NAMED.match(line)
    target = named["place"] if named else line
    target = re.sub(r"^file:(//)?", "", re.split(r"\s+;|\s+--|;\s", target)[0].strip())
    if _URL.match(target):
        if not _FIXED.search(line):
            raise Unforeseeable(f"`{told}` is at an address whose content may change")
        return
    bare = re.sub(r"\[[^\]]*\]$", "", target)
    if not (bare.startswith((".", "/")) or os.sep in bare or bare.endswith(_ARCHIVES)):
        return
    place = folder / bare
    if place.is_dir():
        raise Unforeseeable(f"`{told}` is a folder, whose files may change")
    if place.is_file():  # or else pip says that it is not there
        yield hashlib.sha256(place.read_bytes()).digest()


def _folder(folder: Path) -> Iterator[bytes]:
    """What a folder of wheels holds; a page of links, or nothing, is left to pip."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_file():
                yield path.name.encode() + hashlib.sha256(path.read_bytes()).digest()

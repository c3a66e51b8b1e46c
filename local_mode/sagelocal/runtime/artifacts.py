"""Which family made a model, by the files in it. Each `image.toml` says what its models look like:

    [[artifact]]
    files = ["*.pkl", "*.pickle"]   # their names, as a shell has it; anywhere but in code/
    contains = "sklearn."           # what is written in such a file, if that tells it from others
    says = "a pickled scikit-learn model"

Nothing is unpickled or run: `contains` is looked for in the bytes at a file's beginning and end.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from sagelocal.runtime.interface import RuntimeFault

TABLE = "artifact"
CODE_FOLDER = "code"
_KEYS = {"files": list, "contains": str, "says": str}
_OPTIONAL_KEY = "contains"
_LOOKED_AT_BYTES = 1024 * 1024
_WILDCARDS = frozenset("*?[")
# joblib compresses with these, by the first bytes of its files.
_DECOMPRESSORS: Mapping[bytes, Callable[[], Any]] = {
    b"\x78": zlib.decompressobj,
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZ": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lzma.LZMADecompressor,
}
# Models of frameworks that there may be no image for.
_OF_OTHERS = {
    "*.keras": "Keras",
    "*.safetensors": "Hugging Face",
    "*.onnx": "ONNX",
}


class NoGuess(RuntimeFault):
    """The files do not say which image it is; the text says what they are, and the next step."""


@dataclass(frozen=True)
class Artifact:
    """One kind of file by which a family's models are known."""

    files: tuple[str, ...]
    says: str
    contains: str | None = None

    @property
    def rank(self) -> tuple[bool, bool]:
        """What was read in a file counts more than its name, a whole name more than a part."""
        return self.contains is not None, not _WILDCARDS.intersection("".join(self.files))

    def matches(self, path: Path) -> bool:
        """Whether a file is of this kind."""
        if not any(fnmatchcase(path.name, pattern) for pattern in self.files):
            return False
        return self.contains is None or self.contains.encode() in _looked_at(path)


class Family(Protocol):
    """What is needed of an image family here."""

    @property
    def family(self) -> str: ...

    @property
    def artifacts(self) -> tuple[Artifact, ...]: ...


@dataclass(frozen=True)
class Guess:
    """A family, and the file that says so."""

    family: str
    file: str
    says: str


def read_artifacts(path: Path, document: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """The tables of an `image.toml`. Raises RuntimeFault, naming the file and the value."""
    tables = document.get(TABLE, [])
    if not isinstance(tables, list):
        raise RuntimeFault(f"{path}: write [[{TABLE}]] with two brackets, as there may be several.")
    return tuple(_artifact(path, table) for table in tables)


def _artifact(path: Path, table: Mapping[str, Any]) -> Artifact:
    for key in (*table, *_KEYS):
        if key == _OPTIONAL_KEY and key not in table:
            continue
        value = table.get(key)
        if key not in _KEYS or not isinstance(value, _KEYS[key]) or not value:
            raise RuntimeFault(
                f"{path}: [[{TABLE}]] has {key} = {value!r}; it takes a list of file names "
                "`files`, and the strings `says` and (optional) `contains`."
            )
    return Artifact(tuple(map(str, table["files"])), table["says"], table.get(_OPTIONAL_KEY))


def guess(families: Iterable[Family], folder: Path) -> Guess:
    """The one family that a model's files are known to be of. Raises NoGuess."""
    files = _files(folder)
    found = list(_matches(families, folder, files))
    best = max((rank for rank, _ in found), default=None)
    guesses = {each.family: each for rank, each in reversed(found) if rank == best}
    if len(guesses) == 1:
        return next(iter(guesses.values()))
    raise NoGuess(_why_not(folder, files, list(guesses.values())))


def _matches(
    families: Iterable[Family], folder: Path, files: list[Path]
) -> Iterator[tuple[tuple[bool, bool], Guess]]:
    for family in families:
        for artifact in family.artifacts:
            for path in files:
                if artifact.matches(path):
                    file = str(path.relative_to(folder))
                    yield artifact.rank, Guess(family.family, file, artifact.says)


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.relative_to(folder).parts[0] != CODE_FOLDER and path.is_file()
    ]


def _looked_at(path: Path) -> bytes:
    """The beginning of a file, without its compression, and the end of one that has none."""
    with path.open("rb") as file:
        begin = file.read(_LOOKED_AT_BYTES)
        for magic, decompressor in _DECOMPRESSORS.items():
            if begin.startswith(magic):
                return _decompressed(begin, decompressor())
        file.seek(max(file.tell(), path.stat().st_size - _LOOKED_AT_BYTES))
        return begin + file.read()


def _decompressed(begin: bytes, decompressor: Any) -> bytes:
    try:
        return bytes(decompressor.decompress(begin, _LOOKED_AT_BYTES))
    except (zlib.error, lzma.LZMAError, OSError, ValueError):
        return begin


def _why_not(folder: Path, files: list[Path], guesses: list[Guess]) -> str:
    step = "Name the image with --image; `sagelocal images` lists them."
    if guesses:
        found = " and of ".join(f"{each.family} ({each.file}: {each.says})" for each in guesses)
        return f"The files of the model are of {found}. {step}"
    for path in files:
        for pattern, framework in _OF_OTHERS.items():
            if fnmatchcase(path.name, pattern):
                return f"{path.name} is a model of {framework}, which no image here claims. {step}"
    names = ", ".join(str(path.relative_to(folder)) for path in files[:10]) or "nothing"
    code = " beside code/" if (folder / CODE_FOLDER).is_dir() else ""
    return f"The model holds {names}{code}, which does not say what made it. {step}"

"""Which image a name means: the families of `containers/`, each described by its `image.toml`.

    [image]
    family = "linear-learner"            # its own name
    tag = "sagelocal/linear-learner:1"   # its local Docker tag
    base = "base"                        # the family it builds on, or "python"
    names = ["linear-learner"]           # ECR repositories it answers to
    package = "sagelocal_linear_learner" # its import package, if it has one
    projects = ["train", "serve"]        # what it installs beside itself, from the checkout's root
    executables = ["train", "serve"]     # programs of this folder that are on its PATH
    versions = ["1.9.1"]                 # of its framework: those it does the work of
    version_word = "transformers"        # what stands before the version in its tags, if anything
    wheels = ".build/wheels/pytorch"     # wheels that PyPI has not, from the checkout's root
    index = "https://..."                # the index that is asked, too, if there are none

    [environment]                        # what the Dockerfile's ENV lines say
    [labels]                             # what its LABEL lines say
    [metrics]                            # metric name = regular expression, for the log of `train`
    [refused]                            # ECR repository = why no family is it, and what to do
    [[artifact]]                         # what its models look like; see `artifacts`
    [sample]                             # what it can be tried with; see `samples`

Both the Docker build and the process runtime read it. A registry's name is
`<account>.dkr.ecr.<region>.amazonaws.com[.cn]/<repository>[:<tag>|@<digest>]`, and a family answers
for every account, region and tag (Amazon SageMaker AI developer guide, "Docker Registry Paths").
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sagelocal.runtime.artifacts import Artifact, read_artifacts
from sagelocal.runtime.interface import RuntimeFault, UnknownImage
from sagelocal.runtime.samples import Sample, read_sample
from sagelocal.runtime.versions import asked_for, is_among

PYTHON = "python"
TEMPLATE = "template"

_ECR_URI = re.compile(
    r"(?:https?://)?\d{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+"
    r"\.(?:amazonaws\.com(?:\.cn)?|on\.aws|[a-z0-9.-]+)"
    r"/(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w.-]+))?(?:@sha256:[0-9a-f]{64})?"
)
_IMAGE_KEYS = {
    "family": str,
    "tag": str,
    "base": str,
    "names": list,
    "package": str,
    "projects": list,
    "executables": list,
    "versions": list,
    "version_word": str,
    "wheels": str,
    "index": str,
}
_VERSION = re.compile(r"\d+(\.\d+)*")
_REQUIRED_KEYS = ("family", "tag", "base", "names")


@dataclass(frozen=True)
class ImageFamily:
    """One folder of `containers/`, as its `image.toml` describes it."""

    family: str
    tag: str
    base: str
    names: tuple[str, ...]
    folder: Path
    package: str | None = None
    projects: tuple[str, ...] = ()
    executables: tuple[Path, ...] = ()
    versions: tuple[str, ...] = ()
    version_word: str | None = None
    wheels: Path | None = None
    index: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    sample: Sample = field(default_factory=Sample)

    @property
    def requirements_lock(self) -> Path:
        """The family's locked requirements; the file exists."""
        return self.folder / "requirements.lock"

    @property
    def dockerfile(self) -> Path:
        """What `docker build -f` is given, with the repository's root as the context."""
        return self.folder / "Dockerfile"

    @property
    def extra_index(self) -> str | None:
        """The package index to ask besides the usual one; None where the wheels are here."""
        return None if self.has_wheels else self.index

    @property
    def has_wheels(self) -> bool:
        """Whether the folder of the family's own wheels has any."""
        return self.wheels is not None and any(self.wheels.glob("*.whl"))


class ImageCatalog:
    """Every family of one `containers/` folder, and the names they answer to."""

    def __init__(self, containers_dir: Path, families: tuple[ImageFamily, ...]) -> None:
        self.containers_dir = containers_dir
        self.families = families
        self._by_family = {family.family: family for family in families}
        self._by_tag = {_with_tag(family.tag): family for family in families}
        self._by_repository = {name: family for family in families for name in family.names}
        self._refused = {name: why for each in families for name, why in each.refused.items()}

    @classmethod
    def load(cls, containers_dir: Path | None = None, also: tuple[Path, ...] = ()) -> ImageCatalog:
        """Read every `image.toml`; None finds the `containers/` folder that sagelocal lies beside.

        `also` are folders of families that lie elsewhere and may build on those.

        Raises RuntimeFault, naming the file and the value, for a description that cannot be used.
        """
        folder = containers_dir if containers_dir is not None else _containers_beside(__file__)
        if not folder.is_dir():
            raise RuntimeFault(
                f"The folder of image families {str(folder)!r} does not exist; "
                "give the path of a checkout's containers/ folder."
            )
        paths = dict.fromkeys(
            path.resolve() for path in (*_descriptions(folder), *(f / "image.toml" for f in also))
        )
        families = tuple(_read_family(path) for path in paths)
        _check_families(families)
        return cls(folder.resolve(), families)

    @property
    def root(self) -> Path:
        """The checkout's root: the context of every build."""
        return self.containers_dir.parent

    @property
    def known_names(self) -> tuple[str, ...]:
        """The families' own names and the ECR repositories that they answer to, sorted."""
        return tuple(sorted({*self._by_family, *self._by_repository}))

    def resolve(self, uri: str) -> ImageFamily | None:
        """The family that answers to a tag, a bare family name or an ECR URI; None if none does."""
        match = _ECR_URI.fullmatch(uri)
        if match:
            return self._by_repository.get(match["repository"])
        bare = uri.partition("@")[0]
        return self._by_tag.get(_with_tag(bare)) or self._by_family.get(bare)

    def version_note(self, uri: str) -> str | None:
        """A line with both versions, if a name asks for one that its family is not; else None."""
        family = self.resolve(uri)
        match = _ECR_URI.fullmatch(uri)
        if family is None or match is None or not family.versions:
            return None
        asked = asked_for(match["tag"] or "", family.version_word)
        if asked is None or is_among(asked, family.versions):
            return None
        name = family.version_word or family.family
        return (
            f"The image {uri} asks for {name} {asked}; {family.tag}, which runs in its place, has "
            f"{name} {' and '.join(family.versions)}"
        )

    def chain(self, family: ImageFamily) -> tuple[ImageFamily, ...]:
        """The family and what it builds on, the lowest first."""
        return tuple(reversed(list(self._upwards(family))))

    def executables(self, family: ImageFamily) -> dict[str, Path]:
        """The programs on the image's PATH by name, besides those of its Python packages."""
        return {path.name: path for part in self.chain(family) for path in part.executables}

    def how_to_build(self, family: ImageFamily) -> str:
        """The command that makes the family's Docker image."""
        if family.folder.parent == self.containers_dir:
            return f"sagelocal build {family.family}"
        return f"docker build -t {family.tag} {family.folder}"

    def environment(self, family: ImageFamily) -> dict[str, str]:
        """The image's environment: its own over that of what it builds on."""
        return {
            key: value for part in self.chain(family) for key, value in part.environment.items()
        }

    def labels(self, family: ImageFamily) -> dict[str, str]:
        """The image's labels: its own over those of what it builds on."""
        return {key: value for part in self.chain(family) for key, value in part.labels.items()}

    def projects(self, family: ImageFamily) -> tuple[Path, ...]:
        """The folders of all Python projects that the image installs."""
        found: dict[Path, None] = {}
        for part in self.chain(family):
            found.update(dict.fromkeys(self.root / project for project in part.projects))
            if (part.folder / "pyproject.toml").exists():
                found[part.folder] = None
        return tuple(found)

    def unknown(self, uri: str, next_step: str) -> UnknownImage:
        """The error for a name that nothing answers to: the next step, then what is known.

        It fits into a FailureReason, so each family has one name in it; the nearest name is
        of all that it answers to. Of a name that a family refuses, its reason is told instead.
        """
        asked = uri.rpartition("/")[2].partition("@")[0].partition(":")[0]
        nearest = get_close_matches(asked, self.known_names, n=1)
        meant = f" Did you mean {nearest[0]!r}?" if nearest else ""
        if asked in self._refused:
            meant = f" {self._refused[asked]}"
        known = ", ".join(sorted(self._by_family)) or "none"
        return UnknownImage(
            f"No image answers to {uri!r}.{meant} {next_step} Known here, by name or as an ECR "
            f"repository of any account and region: {known}"
        )

    def _upwards(self, family: ImageFamily) -> Iterator[ImageFamily]:
        while True:
            yield family
            if family.base == PYTHON:
                return
            family = self._by_family[family.base]


def _with_tag(reference: str) -> str:
    """`name` as Docker reads it: `name:latest`."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _containers_beside(module: str) -> Path:
    for parent in Path(module).resolve().parents:
        candidate = parent / "containers"
        if any(candidate.glob("*/image.toml")):
            return candidate
    raise RuntimeFault(
        f"No containers/ folder with image families lies above {module}; "
        "run sagelocal from a checkout of its repository, or set the folder of image families."
    )


def _descriptions(folder: Path) -> list[Path]:
    """Of the families of a folder; what users copy to begin with is none of them."""
    return [path for path in sorted(folder.glob("*/image.toml")) if path.parent.name != TEMPLATE]


def _read_family(path: Path) -> ImageFamily:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuntimeFault(f"{path} cannot be read as TOML: {error}") from error
    image = document.get("image")
    if not isinstance(image, dict):
        raise RuntimeFault(f"{path} has no table [image].")
    _check_image_table(path, image)
    return ImageFamily(
        family=image["family"],
        tag=image["tag"],
        base=image["base"],
        names=tuple(image["names"]),
        folder=path.parent.resolve(),
        package=image.get("package"),
        projects=tuple(image.get("projects", ())),
        executables=tuple(path.parent.resolve() / name for name in image.get("executables", ())),
        versions=tuple(image.get("versions", ())),
        version_word=image.get("version_word"),
        wheels=path.resolve().parents[2] / image["wheels"] if "wheels" in image else None,
        index=image.get("index"),
        environment=_strings(path, document, "environment"),
        labels=_strings(path, document, "labels"),
        metrics=_metrics(path, document),
        refused=_strings(path, document, "refused"),
        artifacts=read_artifacts(path, document),
        sample=read_sample(path, document),
    )


def _check_image_table(path: Path, image: Mapping[str, Any]) -> None:
    for key in _REQUIRED_KEYS:
        if key not in image:
            raise RuntimeFault(f"{path}: [image] lacks {key!r}.")
    for key, value in image.items():
        if key not in _IMAGE_KEYS:
            known = ", ".join(_IMAGE_KEYS)
            raise RuntimeFault(f"{path}: [image] has the unknown key {key!r}; known: {known}.")
        kind = _IMAGE_KEYS[key]
        if not isinstance(value, kind) or (not value and kind is str):
            raise RuntimeFault(f"{path}: {key} = {value!r} is not a {kind.__name__} with a value.")
    for key in ("names", "projects", "executables", "versions"):
        entries = image.get(key, [])
        if not all(isinstance(entry, str) and entry for entry in entries):
            raise RuntimeFault(
                f"{path}: {key} = {entries!r} is not a list of strings with a value."
            )
    for version in image.get("versions", []):
        if not _VERSION.fullmatch(version):
            raise RuntimeFault(f"{path}: versions names {version!r}, which is no version like 1.9.")
    for name in image.get("executables", []):
        if not os.access(path.parent / name, os.X_OK) or "/" in name:
            raise RuntimeFault(
                f"{path}: executables names {name!r}, which is no program of that folder; "
                f"`chmod +x {name}` makes a file one."
            )
    for project in image.get("projects", []):
        if not (path.parents[2] / project / "pyproject.toml").exists():
            raise RuntimeFault(f"{path}: projects names {project!r}, which has no pyproject.toml.")


def _strings(path: Path, document: Mapping[str, object], table: str) -> dict[str, str]:
    found = document.get(table, {})
    if not isinstance(found, dict):
        raise RuntimeFault(f"{path}: {table} = {found!r} is not a table.")
    for key, value in found.items():
        if not isinstance(value, str):
            raise RuntimeFault(f"{path}: [{table}] {key} = {value!r} is not a string; quote it.")
    return found


def _metrics(path: Path, document: Mapping[str, object]) -> dict[str, str]:
    metrics = _strings(path, document, "metrics")
    for name, pattern in metrics.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise RuntimeFault(f"{path}: the metric {name!r} has no regex: {error}") from error
    return metrics


def _check_families(families: tuple[ImageFamily, ...]) -> None:
    """One owner per name, and every base there, with no circle."""
    owners: dict[str, ImageFamily] = {}
    by_family = {family.family: family for family in families}
    for family in families:
        for name in {family.family, family.tag, *family.names}:
            other = owners.setdefault(name, family)
            if other is not family:
                raise RuntimeFault(f"Both {other.folder} and {family.folder} answer to {name!r}.")
        _check_base(family, by_family)


def _check_base(family: ImageFamily, by_family: Mapping[str, ImageFamily]) -> None:
    seen = [family.family]
    below = family.base
    while below != PYTHON:
        if below in seen:
            raise RuntimeFault(f"{family.folder}: its base goes in a circle: {seen} and {below!r}.")
        if below not in by_family:
            known = ", ".join(sorted({*by_family, PYTHON}))
            raise RuntimeFault(f"{family.folder}: base {below!r} is no family; known: {known}.")
        seen.append(below)
        below = by_family[below].base

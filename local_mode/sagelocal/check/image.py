"""What can be told of an image without running its programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagelocal.check import rules
from sagelocal.check.containers import Engine
from sagelocal.check.findings import Finding, broken, kept, skipped
from sagelocal.check.subject import LABEL_GPU, Subject
from sagelocal.check.user import own_user
from sagelocal.domain.repositories import DOCKER_MANIFEST

_MOST_BYTES = 10_000_000_000
_MOST_LAYERS = 127
_SECRETS = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a token of Hugging Face": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "a password in a URL": re.compile(r"://[^/\s:@]+:[^/\s:@]{3,}@"),
}
_SECRET_NAME = re.compile(
    r"\b(\w*(?:SECRET|PASSWORD|PASSWD|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY)\w*)=([^\s$\"']{6,})",
    re.IGNORECASE,
)
# Python's own downloads are checked by these, and their images have them in public.
_NO_SECRETS = frozenset({"GPG_KEY", "PYTHON_SHA256"})
_HIDDEN = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output")
_CUDA = re.compile(r"(?:^|/)(?:libcudart|libcublas|libcudnn|libnccl)[\w.-]*\.so", re.IGNORECASE)
_SHELLS = ("sh", "bash", "dash")
_LIBRARIES = "*.so*"
_FOLDERS = ("/usr/local", "/opt")


def check_files(engine: Engine, subject: Subject) -> list[Finding]:
    """What the files in the image tell."""
    patterns = (*(f"{folder}/*" for folder in _HIDDEN), _LIBRARIES)
    paths = engine.image_paths(subject.image, _FOLDERS, patterns)
    return [_reserved_paths(paths), _gpu_libraries(subject, paths)]


def check_description(subject: Subject) -> list[Finding]:
    """What the engine's own description of the image tells."""
    return [
        _architecture(subject),
        _manifest(subject),
        _size(subject),
        _layers(subject),
        _entry_point(subject),
        _root_user(subject),
        _locale(subject),
    ]


def _architecture(subject: Subject) -> Finding:
    seen = f"{subject.inspected.get('Os')}/{subject.inspected.get('Architecture')}"
    return (kept if seen == "linux/amd64" else broken)(rules.ARCHITECTURE, seen)


def _manifest(subject: Subject) -> Finding:
    """An engine that keeps images in containerd says what it has; others push Docker's own type."""
    descriptor = subject.inspected.get("Descriptor")
    kind = descriptor.get("mediaType") if isinstance(descriptor, Mapping) else None
    seen = str(kind or "pushed as Docker's own type by this engine")
    return (kept if kind in (None, DOCKER_MANIFEST) else broken)(rules.MANIFEST, seen)


def _size(subject: Subject) -> Finding:
    size = int(str(subject.inspected.get("Size", 0)))
    return (kept if size <= _MOST_BYTES else broken)(rules.SIZE, f"{size / 1e6:,.0f} MB")


def _layers(subject: Subject) -> Finding:
    file_system = subject.inspected.get("RootFS")
    layers = file_system.get("Layers") or [] if isinstance(file_system, Mapping) else []
    count = len(layers)
    return (kept if count <= _MOST_LAYERS else broken)(rules.LAYERS, f"{count} layers")


def check_secrets(engine: Engine, subject: Subject) -> Finding:
    """What variables, labels and the history of the image give away."""
    places = {f"the variable {v.partition('=')[0]}": v for v in _strings(subject, "Env")}
    places |= {f"the label {name}": f"{name}={text}" for name, text in subject.labels.items()}
    for number, line in enumerate(reversed(engine.history(subject.image)), 1):
        places[f"step {number} of the history"] = str(line.get("CreatedBy", ""))
    found = [f"{what} in {place}" for place, text in places.items() for what in secrets_in(text)]
    return broken(rules.SECRETS, "; ".join(found)) if found else kept(rules.SECRETS, "none found")


def secrets_in(text: str) -> Iterator[str]:
    """What looks like a secret, never its value."""
    yield from (what for what, pattern in _SECRETS.items() if pattern.search(text))
    for name, _ in _SECRET_NAME.findall(text):
        if name.upper() not in _NO_SECRETS:
            yield f"a value of {name}"


def _entry_point(subject: Subject) -> Finding:
    entry_point = _strings(subject, "Entrypoint")
    told = " ".join(entry_point) or "none"
    is_shell = len(entry_point) > 2 and entry_point[0].rpartition("/")[2] in _SHELLS
    if is_shell and entry_point[1] == "-c":
        # The word after the line is $0, and only those after it are "$@".
        hands_on = "$0" in entry_point[2] or ("$@" in entry_point[2] and len(entry_point) > 3)
        return (kept if hands_on else broken)(rules.ENTRY_POINT, told)
    return kept(rules.ENTRY_POINT, told)


def _root_user(subject: Subject) -> Finding:
    user = own_user(subject)
    return broken(rules.ROOT_USER, f"USER {user}") if user else kept(rules.ROOT_USER, "root")


def _reserved_paths(paths: Sequence[str]) -> Finding:
    baked = [path for path in paths if path.startswith(tuple(f"{each}/" for each in _HIDDEN))]
    if baked:
        return broken(rules.RESERVED_PATHS, _some(baked))
    return kept(rules.RESERVED_PATHS, "nothing there")


def _gpu_libraries(subject: Subject, paths: Sequence[str]) -> Finding:
    if subject.has_label(LABEL_GPU):
        return skipped(rules.GPU_LIBRARIES, f"the image is labelled {LABEL_GPU}")
    found = [path for path in paths if _CUDA.search(path)]
    if found:
        return broken(rules.GPU_LIBRARIES, _some(found))
    return kept(rules.GPU_LIBRARIES, "no CUDA library")


def _locale(subject: Subject) -> Finding:
    variables = dict(v.partition("=")[::2] for v in _strings(subject, "Env"))
    language = variables.get("LC_ALL") or variables.get("LC_CTYPE") or variables.get("LANG") or ""
    zone = variables.get("TZ", "")
    seen = f"LANG={language or 'unset'}, TZ={zone or 'unset'}"
    is_utf8 = "utf-8" in language.lower().replace("utf8", "utf-8")
    utc = zone.upper() in ("", "UTC", "ETC/UTC", "UTC0", "GMT")
    return (kept if is_utf8 and utc else broken)(rules.LOCALE, seen)


def _strings(subject: Subject, key: str) -> Sequence[str]:
    found: Any = subject.configuration.get(key)
    return [str(each) for each in found] if isinstance(found, list) else []


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

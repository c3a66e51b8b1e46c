"""Kubernetes' and KServe's objects, held against the schemas that these publish."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from sagelocal.export.kserve import kserve_files
from sagelocal.export.kubernetes import kubernetes_files

from tests.local_mode.export.conftest import MakeService
from tests.local_mode.export.test_targets import KINDS

pytestmark = [pytest.mark.clients, pytest.mark.slow]
HOLDER = Path(__file__).with_name("hold_against_schemas.py")


@pytest.fixture
def held(schemas_python: Path, tmp_path: Path) -> Callable[[Mapping[str, str]], str]:
    """What the schemas say against files."""

    def hold(texts: Mapping[str, str]) -> str:
        paths = [tmp_path / name for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text)
        done = subprocess.run([schemas_python, HOLDER, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return hold


def test_the_schemas_allow_every_object(make_service: MakeService, held: Any) -> None:
    texts = {
        f"{kind}-{target.__name__}-{name}": text
        for kind, changes in KINDS.items()
        for target in (kubernetes_files, kserve_files)
        for name, text in target(make_service(**changes)).items()
    }

    assert len(texts) == 6 * len(KINDS)
    assert held(texts) == ""


BROKEN: Sequence[tuple[str, Callable[[Any], object], str]] = [
    ("deployment", lambda pod: pod["containers"][0].pop("name"), "'name' is a required property"),
    ("deployment", lambda pod: pod["containers"][0].update(args="serve"), "'serve' is not of type"),
    ("deployment", lambda pod: pod.update(initContainer=[]), "'initContainer' was unexpected"),
    ("inferenceservice", lambda pod: pod.update(minReplica=1), "has no 'minReplica'"),
    ("inferenceservice", lambda pod: pod.update(maxReplicas="2"), "'2' is no int"),
    ("inferenceservice", lambda pod: pod["containers"][0].update(port=1), "has no 'port'"),
]


def test_the_schemas_would_tell(make_service: MakeService, held: Any) -> None:
    service = make_service()
    texts = {**kubernetes_files(service), **kserve_files(service)}
    broken = {}
    for number, (file, break_it, _) in enumerate(BROKEN):
        document = yaml.safe_load(texts[f"{file}.yaml"])
        spec = document["spec"]
        break_it(spec.get("predictor") or spec["template"]["spec"])
        broken[f"{number}.yaml"] = yaml.safe_dump(document)

    said = held(broken).splitlines()

    for number, (_, _, words) in enumerate(BROKEN):
        assert any(f"{number}.yaml: " in line and words in line for line in said), said

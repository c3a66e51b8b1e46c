"""Which GPUs a container is given, on a machine whose device files are made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime import gpus
from sagelocal.runtime.interface import RuntimeFault

SEES = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia0x"):
        (tmp_path / name).touch()
    assert gpus.gpu_count(tmp_path) == 3


@pytest.mark.parametrize(
    ("own", "count", "seen"),
    [(None, 2, "0,1"), (None, 0, ""), (None, None, "None"), ("3,1,2", 2, "3,1"), ("3", None, "3")],
)
def test_a_process_sees_the_gpus_that_it_was_given(
    process_place: Any, monkeypatch: pytest.MonkeyPatch, own: str | None, count: Any, seen: str
) -> None:
    monkeypatch.setattr(gpus, "gpu_count", lambda: 4)
    if own is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", own)
    given = gpus.visible(count)
    assert given.get("CUDA_VISIBLE_DEVICES", own or "None") == seen
    _, lines = process_place.run("python", "-c", SEES, gpus=count)
    assert lines == [given.get("CUDA_VISIBLE_DEVICES", "None")]


@pytest.mark.docker
@pytest.mark.skipif(gpus.gpu_count() > 0, reason="this machine has a GPU")
def test_the_engine_is_asked_for_gpus_and_its_refusal_is_told(docker_place: Any) -> None:
    assert docker_place.runtime.gpus == 0
    with pytest.raises(RuntimeFault, match=r"cannot be started: .*gpu"):
        docker_place.start("true", gpus=2)


@pytest.mark.skipif(gpus.gpu_count() == 0, reason="this machine has no GPU")
def test_the_gpus_of_this_machine_are_given(place: Any) -> None:
    assert place.runtime.gpus > 0
    listed = "import glob, json; print(json.dumps(glob.glob('/dev/nvidia[0-9]*')))"
    _, lines = place.run("python", "-c", listed, gpus=1)
    assert len(json.loads(lines[0])) >= 1

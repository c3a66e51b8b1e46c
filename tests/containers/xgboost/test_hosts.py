"""One model of several hosts: processes with addresses of their own on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sagelocal_xgboost import artifact

pytestmark = pytest.mark.slow

# The ports are the original's; a test needs some that nobody else uses.
START = (
    "import sys; from sagelocal_xgboost import hosts; hosts.PORT = int(sys.argv.pop()); "
    "from sagelocal_train.cli import main; sys.exit(main([]))"
)


class Ended:
    """One host of a job that is over."""

    def __init__(self, base: Path, exit_code: int, log: str) -> None:
        self.base, self.exit_code, self.log = base, exit_code, log
        failure = base / "output" / "failure"
        self.failure = failure.read_text() if failure.exists() else ""
        self.saved = (base / "model" / "xgboost-model").exists()


RunHosts = Callable[..., list[Ended]]


@pytest.fixture
def run_hosts(tmp_path: Path, family: Path, free_ports: Callable[[], int]) -> RunHosts:
    """`run_hosts([{"train/a.csv": ...}, ...], num_round=3)`, a host for each set of files."""

    def run(hosts: list[Mapping[str, str]], **given: object) -> list[Ended]:
        names = [f"127.0.0.{number + 1}" for number in range(len(hosts))]
        port = free_ports()
        started: list[tuple[Path, subprocess.Popen[bytes]]] = []
        for name, files in zip(names, hosts, strict=True):
            base = tmp_path / name
            _prepare(base, name, names, files, given)
            environment = os.environ | {
                "SAGEMAKER_BASE_DIR": str(base),
                "SAGEMAKER_TRAINING_MODULE": "sagelocal_xgboost.training:main",
                "PYTHONPATH": str(family),
            }
            with (base / "log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-c", START, str(port)],
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            started.append((base, process))
        try:
            for _, process in started:
                process.wait(timeout=240)
        except subprocess.TimeoutExpired:
            said = "\n".join(f"{base.name}:\n{(base / 'log').read_text()}" for base, _ in started)
            pytest.fail(f"A host did not end within 240 s\n{said}")
        finally:
            for _, process in started:
                process.kill()
                process.wait()
        return [
            Ended(base, process.returncode, (base / "log").read_text()) for base, process in started
        ]

    return run


def _prepare(
    base: Path, name: str, names: list[str], files: Mapping[str, str], given: Mapping[str, object]
) -> None:
    for relative, text in files.items():
        path = base / "input" / "data" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    config = base / "input" / "config"
    config.mkdir(parents=True)
    texts = {"nthread": "1"} | {key: str(value) for key, value in given.items()}
    channels = {key: {"ContentType": "text/csv"} for key in ("train", "validation")}
    for file, content in (
        ("hyperparameters", texts),
        ("inputdataconfig", channels),
        ("resourceconfig", {"current_host": name, "hosts": names}),
    ):
        (config / f"{file}.json").write_text(json.dumps(content))
    for channel in channels:
        (base / "input" / "data" / channel).mkdir(parents=True, exist_ok=True)


def _csv(x: Any, y: Any) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in np.column_stack([y, x]).tolist())


def test_hosts_with_rows_train_one_model_and_the_others_are_done(run_hosts: RunHosts) -> None:
    x = np.random.default_rng(6).normal(size=(120, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.float32)

    first, second, third = run_hosts(
        [
            {"train/a.csv": _csv(x[:50], y[:50])},
            {},
            {"train/b.csv": _csv(x[50:], y[50:]), "validation/c.csv": _csv(x[:20], y[:20])},
        ],
        num_round=4,
        objective="binary:logistic",
        eval_metric="error,accuracy",
    )

    assert [host.exit_code for host in (first, second, third)] == [0, 0, 0], first.log + third.log
    assert [host.saved for host in (first, second, third)] == [True, False, False]
    assert "Host 127.0.0.2 does not have data" in second.log
    (model,) = artifact.load_all(first.base / "model")
    wrong = (model.predict(xgboost.DMatrix(x)) > 0.5) != y
    lines = [line for line in first.log.splitlines() if line.startswith("[3]\t")]
    # Both the library's metric and ours are over the rows of all hosts.
    assert len(lines) == 1
    assert f"\ttrain-error:{wrong.mean():.5f}" in lines[0]
    assert f"\ttrain-accuracy:{1 - wrong.mean():.5f}" in lines[0]
    assert "\tvalidation-error:" in lines[0]
    assert not [line for line in third.log.splitlines() if line.startswith("[3]\t")]


def test_a_host_that_cannot_read_its_rows_ends_the_job_of_the_others(run_hosts: RunHosts) -> None:
    first, second = run_hosts(
        [{"train/a.csv": "0,1\n1,2\n"}, {"train/b.csv": "0,1\n1,x\n"}], num_round=2
    )
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert second.failure.startswith("ClientError: Failed to load csv data with exception: train/b")
    assert first.failure == (
        "PlatformError: The host '127.0.0.2' of this job failed; its own log says why"
    )
    assert not first.saved

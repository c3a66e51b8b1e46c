"""Runs the whole chapter against a freshly started control plane, step by step, with figures.

    demo.py [--runtime process|docker] [--output FOLDER]

Shell, notebook and artifact scripts are what a user of the cloud would have written; this program
only starts a plane, runs them under `sagelocal exec`, and checks what they saw.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAGELOCAL = Path(sys.executable).with_name("sagelocal")


@dataclass(frozen=True)
class Chapter:
    """Where one run of the chapter happens."""

    output: Path
    runtime: str
    port: int
    clients: Path
    mxnet: Path

    @property
    def data(self) -> Path:
        return self.output / "data"

    def sagelocal(self, *arguments: str) -> None:
        """Run one sagelocal command, shown as the user would type it."""
        show(["sagelocal", *arguments])
        subprocess.run([SAGELOCAL, *self._placed(arguments)], check=True)

    def end_of_log(self, job: str, lines: int = 4) -> None:
        """The last lines that `sagelocal logs` prints; the notebook has shown all of them."""
        show(["sagelocal", "logs", job, "|", "tail", "-n", str(lines)])
        command = [str(SAGELOCAL), *self._placed(("logs", job))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print("\n".join(done.stdout.splitlines()[-lines:]), flush=True)

    def client(self, *command: str | Path) -> None:
        """Run a client's command under `sagelocal exec`."""
        words = [str(word) for word in command]
        show(["sagelocal", "exec", "--", *words])
        path = f"{self.clients.parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [SAGELOCAL, *self._placed(("exec", "--", *words))],
            check=True,
            env={**os.environ, "PATH": path},
        )

    def _placed(self, arguments: Sequence[str]) -> list[str]:
        return [arguments[0], "--data", str(self.data), *arguments[1:]]


def show(words: Sequence[str]) -> None:
    print(f"\n$ {' '.join(words)}", flush=True)


def step(text: str) -> None:
    print(f"\n=== {text}", flush=True)


@contextmanager
def plane(chapter: Chapter) -> Iterator[float]:
    """A freshly started control plane; yields how many seconds `sagelocal up` took."""
    begin = time.perf_counter()
    chapter.sagelocal("up", "--port", str(chapter.port), "--runtime", chapter.runtime)
    seconds = time.perf_counter() - begin
    try:
        yield seconds
    finally:
        chapter.sagelocal("down")


def run(chapter: Chapter) -> dict[str, Any]:
    """The chapter from first to last; what it saw and the figures."""
    step("start the control plane")
    with plane(chapter) as seconds_up:
        step("the AWS CLI: a bucket and files in it")
        chapter.client(HERE / "shell.sh", chapter.output, "my-first-bucket", HERE / "salaries.csv")
        step("the notebook: SageMaker SDK 2.x and boto3")
        chapter.client(chapter.clients, HERE / "notebook.py", chapter.output)
        results: dict[str, Any] = json.loads((chapter.output / "results.json").read_text())
        step("the job's log once more, from the command line")
        chapter.end_of_log(results["job"])
        step("the artifact in the hands of mxnet 1.9.1")
        answer = subprocess.run(
            [chapter.mxnet, HERE / "artifact.py", chapter.output / "model", "42", "81"],
            check=True,
            capture_output=True,
            text=True,
        )
        print(answer.stdout)
        results["by_hand"] = json.loads(answer.stdout)
        step("stop the control plane")
    results["seconds"]["up"] = round(seconds_up, 3)
    (chapter.output / "results.json").write_text(json.dumps(results, indent=2))
    return results


def print_figures(results: dict[str, Any], chapter: Chapter) -> None:
    step("figures")
    seconds = results["seconds"]
    ratio = results["train_rmse"] / results["least_squares_train_rmse"]
    by_hand = results["by_hand"]["predictions"][0]
    print(f"  sagelocal up             {seconds['up']:8.2f} s")
    print(f"  estimator.fit            {seconds['fit']:8.2f} s")
    print(f"  model.deploy             {seconds['deploy']:8.2f} s")
    print(f"  delete the endpoint      {seconds['delete']:8.2f} s")
    print(f"  test RMSE                {results['test']['rmse']:8.2f}")
    print(f"  test MAE                 {results['test']['mae']:8.2f}")
    print(f"  training RMSE / OLS      {ratio:8.4f}")
    print(f"  endpoint says for 42     {results['predict_42']:8.2f}")
    print(f"  mxnet by hand for 42     {by_hand:8.2f}")
    print(f"  the plot                 {chapter.output / 'salaries.png'}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runtime", choices=("process", "docker"), default="process")
    parser.add_argument("--output", type=Path, default=Path(".build") / "demo")
    arguments = parser.parse_args()
    output = arguments.output.absolute()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    chapter = Chapter(
        output,
        arguments.runtime,
        free_port(),
        Path(os.environ["SAGELOCAL_TEST_CLIENTS"]),
        Path(os.environ["SAGELOCAL_TEST_MXNET"]),
    )
    print_figures(run(chapter), chapter)


if __name__ == "__main__":
    main()

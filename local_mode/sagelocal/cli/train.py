"""`sagelocal train`: one training job with no notebook, no S3 and no control plane."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import click

from sagelocal.cli.pairs import pair_option
from sagelocal.cli.plane_process import kept_packages
from sagelocal.domain.training import TrainingJob, TrainingJobStatus, Transition
from sagelocal.protocol.faults import Fault
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.services.local_training import (
    LocalTraining,
    LocalTrainingError,
    Progress,
    check_output,
    run,
)
from sagelocal.services.plane import open_plane
from sagelocal.settings import Settings

STOPPED_STATUS = 130  # what a shell gives for a command that Ctrl-C ended
TICK_SECONDS = 0.2


@click.command()
@click.argument("what", metavar="DIR-OR-IMAGE")
@pair_option("--channel", "channels", "NAME=PATH", "a file or folder to train on; repeatable")
@pair_option("--content-type", "content_types", "NAME=TYPE", "a channel's, if its name misleads")
@pair_option("--hp", "hyperparameters", "NAME=VALUE", "a hyperparameter; repeatable")
@pair_option("--env", "environment", "NAME=VALUE", "a variable of the container; repeatable")
@click.option("--entry-point", default="train.py", show_default=True, help="the script in DIR")
@click.option("--image", help="the image that runs the script in DIR")
@click.option(
    "--debugger",
    "debugger_port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="the script waits for a Python debugger on 127.0.0.1:PORT",
)
@click.option(
    "--gpus",
    type=click.IntRange(0, 8),
    default=0,
    show_default=True,
    help="how many GPUs each host gets",
)
@click.option("--instances", default=1, show_default=True, help="how many hosts")
@click.option(
    "--input-mode",
    type=click.Choice(["File", "FastFile", "Pipe"]),
    default="File",
    show_default=True,
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("model-output"),
    show_default=True,
    help="folder for model/ and data/, an earlier run's are replaced",
)
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    envvar="SAGELOCAL_RUNTIME",
)
@click.option("--containers-dir", type=click.Path(path_type=Path), help="folder of image families")
def train(what: str, runtime: Any, containers_dir: Path | None, **options: Any) -> None:
    """Run one training job on files of this machine.

    \b
    sagelocal train my-code --image mxnet --channel train=data.csv --hp epochs=3
    sagelocal train linear-learner --channel train=data.csv --hp predictor_type=regressor
    sagelocal train my-family                    a folder with an image.toml

    DIR is a folder of your code, which the image of --image runs, or the folder of an image; IMAGE
    any name that `sagelocal images` shows or Docker knows. The exit status is 0 if the job
    completed, 1 if it failed, 130 if it was stopped. Ctrl-C stops it as StopTrainingJob does, and
    a second one kills it.
    """
    _quieten()
    try:
        check_output(options["output"])
        images, training = _understand(what, containers_dir, options)
        job = _run(images, training, runtime)
    except Fault as fault:
        raise click.ClickException(f"{fault.code}: {fault.message}") from fault
    except (LocalTrainingError, RuntimeFault) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(_conclude(job, training))


def _understand(
    what: str, containers_dir: Path | None, options: dict[str, Any]
) -> tuple[ImageCatalog, LocalTraining]:
    """Whose code it is that runs: the user's folder's, an image's folder's, or an image's."""
    image: str | None = options.pop("image")
    channels = {name: Path(path) for name, path in options.pop("channels").items()}
    folder = Path(what)
    source: Path | None = None
    also: tuple[Path, ...] = ()
    if not folder.is_dir():
        if image is not None:
            raise LocalTrainingError(f"{what!r} is no folder, and --image runs a folder's code")
        image = what
    elif image is not None:
        source = folder
    elif (folder / "image.toml").is_file():
        also = (folder,)
    else:
        raise LocalTrainingError(
            f"{what} has no image.toml; name the image that runs its code with --image, "
            "`sagelocal images` lists them"
        )
    images = ImageCatalog.load(containers_dir, also)
    if image is None:
        image = next(f.family for f in images.families if f.folder == folder.resolve())
    return images, LocalTraining(image=image, source=source, channels=channels, **options)


def _run(images: ImageCatalog, training: LocalTraining, runtime: Any) -> TrainingJob:
    """On a plane of its own, in a folder beside the output that goes with it.

    What the user's requirements.txt brings is kept for the next time, with that of the plane.
    """
    training.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".sagelocal-", dir=training.output.absolute().parent))
    signal.signal(signal.SIGTERM, _interrupt)
    progress: Progress = Live(sys.stdout) if sys.stdout.isatty() else Plain(sys.stdout)
    try:
        settings = Settings(
            data_dir=folder,
            port=0,
            runtime=runtime,
            packages_dir=kept_packages(),
            max_gpus=training.gpus,
        )
        with open_plane(settings, images) as plane:
            return run(plane, training, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _conclude(job: TrainingJob, training: LocalTraining) -> int:
    """Say how it ended and what to do next; the exit status."""
    if job.status is TrainingJobStatus.COMPLETED:
        click.echo(f"The model is in {training.output / 'model'}")
        return 0
    if job.status is TrainingJobStatus.STOPPED:
        click.echo(f"Stopped. What it left is in {training.output}", err=True)
        return STOPPED_STATUS
    click.echo(f"Failed: {job.failure_reason}", err=True)
    click.echo(f"-> {_next_step(job.failure_reason or '')}", err=True)
    return 1


def _next_step(reason: str) -> str:
    if reason.startswith("ClientError"):
        return "change what the message names and run the same command again"
    if reason.startswith("InternalServerError"):
        return "`sagelocal doctor` says what of this machine can be used"
    return "the log above has the whole story; mend the code and run the same command again"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _quieten() -> None:
    """The engine's own lines are for a plane's log; here the progress tells."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")


class Plain:
    """Progress as plain lines, for files and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._started = time.monotonic()

    def phase(self, transition: Transition) -> None:
        self._print(f"[{self.elapsed():7.1f} s] {transition.status}: {transition.message}")

    def line(self, text: str) -> None:
        self._print(text)

    def tick(self) -> None:
        """Nothing to redraw."""

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def _print(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class Live(Plain):
    """The same above a line that shows the phase and the time."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._phase = ""
        self._drawn = 0.0

    def phase(self, transition: Transition) -> None:
        self._phase = str(transition.status)
        super().phase(transition)

    def tick(self) -> None:
        if time.monotonic() - self._drawn >= TICK_SECONDS:
            self._drawn = time.monotonic()
            self._out.write(f"\r\x1b[K{self._phase} {self.elapsed():.0f} s (Ctrl-C stops it)")
            self._out.flush()

    def _print(self, text: str) -> None:
        self._out.write("\r\x1b[K")
        super()._print(text)

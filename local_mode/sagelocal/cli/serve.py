"""`sagelocal serve`: one model behind a port, with no notebook, no S3 and no control plane."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sagelocal.cli.pairs import pair_option
from sagelocal.cli.plane_process import kept_packages
from sagelocal.cli.serving_state import Served, remembered
from sagelocal.runtime.artifacts import guess
from sagelocal.runtime.build import build_folder, build_images
from sagelocal.runtime.choose import choose_runtime
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import Runtime, RuntimeFault
from sagelocal.runtime.process import NAME as PROCESS
from sagelocal.services.local_serving import (
    LocalServing,
    LocalServingError,
    make_model_folder,
    script_environment,
    serve_model,
)
from sagelocal.settings import Settings

WORKERS_VARIABLES = ("SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS")


@click.command()
@click.argument(
    "model",
    metavar="MODEL.tar.gz-OR-DIR",
    type=click.Path(exists=True, path_type=Path),
)
@click.option("--image", help="name, tag, ECR URI or folder of the image; guessed if not given")
@click.option(
    "--code",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder with an inference script, packed as code/",
)
@click.option("--entry-point", default="inference.py", show_default=True, help="script in --code")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 is any free"
)
@pair_option("--env", "environment", "NAME=VALUE", "a variable of the container; repeatable")
@click.option("--workers", type=click.IntRange(1, 1024), help="worker processes of the container")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    envvar="SAGELOCAL_RUNTIME",
)
@click.option(
    "--startup-timeout-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=240.0,
    show_default=True,
    help="/ping must answer within this",
)
@click.option(
    "--containers-dir",
    type=click.Path(path_type=Path),
    envvar="SAGELOCAL_CONTAINERS_DIR",
    help="folder of image families",
)
def serve(model: Path, image: str | None, containers_dir: Path | None, **options: Any) -> None:
    """Serve one model until Ctrl-C.

    \b
    sagelocal serve model.tar.gz
    sagelocal serve model.joblib --port 9000 --env MODEL_SERVER_PREDICT_METHOD=predict_proba
    sagelocal serve model-output/model --image mxnet --code my-code

    MODEL is what CreateModel takes as ModelDataUrl, unpacked or not, or a single file that such an
    archive would hold. Without --image its files say which image it is for. A folder as --image is
    one with an image.toml or a Dockerfile, which is built first. The exit status is 1 if the model
    cannot be loaded or the container ends, 0 after Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="sagelocal-serve-"))
    try:
        with ExitStack() as stack:
            _serve(
                model, image, ImageCatalog.load(containers_dir, _own(image)), folder, options, stack
            )
    except KeyboardInterrupt:
        click.echo("Ended.")
    except (LocalServingError, RuntimeFault) as error:
        raise click.ClickException(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(
    model: Path,
    image: str | None,
    images: ImageCatalog,
    folder: Path,
    options: dict[str, Any],
    stack: ExitStack,
) -> None:
    """Until KeyboardInterrupt; what has to be undone afterwards goes to the stack."""
    settings = Settings(
        data_dir=folder,
        port=0,
        runtime=options["runtime"],
        packages_dir=kept_packages(),
        startup_timeout_seconds=options["startup_timeout_seconds"],
    )
    environment = _environment(options)
    model_folder = make_model_folder(model, options["code"], folder)
    runtime = choose_runtime(settings, images)
    stack.callback(runtime.close)
    name = _image(image, images, model_folder, runtime)
    click.echo(f"Loading {model} with {name}, runtime {runtime.name}; Ctrl-C ends it")
    serving = LocalServing(name, model_folder, options["port"], environment)
    serve_model(runtime, serving, settings, Terminal(str(model), stack))


def _own(image: str | None) -> tuple[Path, ...]:
    """The folder of a family that is not in the catalogue."""
    return (Path(image),) if image and (Path(image) / "image.toml").is_file() else ()


def _environment(options: dict[str, Any]) -> dict[str, str]:
    workers, code = options["workers"], options["code"]
    return {
        **(dict.fromkeys(WORKERS_VARIABLES, str(workers)) if workers else {}),
        **(script_environment(code, options["entry_point"]) if code else {}),
        **options["environment"],
    }


def _image(image: str | None, images: ImageCatalog, model: Path, runtime: Runtime) -> str:
    """The name of the image for the runtime; one that is given as a folder is built for Docker."""
    if image is None:
        guessed = guess(images.families, model)
        click.echo(f"Image: {guessed.family}, because {guessed.file} is {guessed.says}")
        return guessed.family
    folder = Path(image).resolve()
    if images.resolve(image) or not folder.is_dir():
        return image
    family = next((each for each in images.families if each.folder == folder), None)
    if family is None and not (folder / "Dockerfile").is_file():
        raise LocalServingError(f"--image {image} is a folder without image.toml and Dockerfile")
    if family is None and runtime.name == PROCESS:
        raise LocalServingError(
            f"--image {image} has a Dockerfile and no image.toml, so that it needs Docker "
            "(--runtime docker)"
        )
    tag = family.tag if family else f"sagelocal-serve/{folder.name.lower()}:latest"
    if runtime.name != PROCESS:
        if family and folder.parent == images.containers_dir:
            build_images(images, [family.family])
        else:
            build_folder(folder, tag)
    return tag


class Terminal:
    """Shows the container's log, and how to call it once it answers."""

    def __init__(self, model: str, stack: ExitStack) -> None:
        self._model = model
        self._stack = stack

    def line(self, text: str) -> None:
        click.echo(text)

    def ready(self, address: str) -> None:
        self._stack.enter_context(remembered(Served(address, self._model)))
        click.echo(
            f"Serving {self._model} at {address}\n"
            f"  curl -H 'Content-Type: text/csv' -d '1,2,3' {address}/invocations\n"
            "  sagelocal invoke @rows.csv"
        )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

"""The image's `train` and `serve` as processes of a Python that has mxnet, and images to train on.

The pictures have a bright bar on dark noise: the class says where it stands.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sagelocal_formats.image_records import ImageRecord, write_image_records
from sagelocal_image_classification import channels

if TYPE_CHECKING:
    from tests.containers.conftest import Interpreter, Job

ROOT = Path(__file__).parents[3]
FAMILY = ROOT / "containers" / "image_classification"
ROOMS = (
    *("train", "serve", "containers/formats", "containers/requirements"),
    "containers/first_party",
)
# What the serving toolkit stands on; pure Python, so that it may come from another environment.
LIBRARIES = ("gunicorn", "packaging")

CLASSES = 3
PIXELS = 12


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return FAMILY


@pytest.fixture(scope="session")
def interpreter(
    mxnet_python: Path,
    tmp_path_factory: pytest.TempPathFactory,
    interpreter: Interpreter,
) -> Interpreter:
    """A Python that has mxnet, with the rooms of this repository."""
    libraries = tmp_path_factory.mktemp("libraries")
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} is not installed"
        assert spec.origin is not None
        (libraries / name).symlink_to(Path(spec.origin).parent)
    folders = (*(ROOT / room for room in ROOMS), libraries)
    return type(interpreter)(mxnet_python, folders)


def picture(label: int, seed: int, pixels: int = PIXELS, kind: str = "PNG") -> bytes:
    """An image file of a class: a bar that stands on the left, in the middle or on the right."""
    random = np.random.default_rng(seed)
    array = random.integers(0, 80, (pixels, pixels, 3), np.uint8)
    width = pixels // CLASSES
    array[:, label * width : (label + 1) * width] += 150
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


@pytest.fixture(scope="session")
def draw() -> Callable[..., bytes]:
    """`draw(label, seed, pixels=12, kind="PNG")`: an image file of a class."""
    return picture


def records(count: int, seed: int = 0, pixels: int = PIXELS) -> bytes:
    """A .rec file of so many images, of the classes in turns."""
    content = io.BytesIO()
    write_image_records(
        content,
        (
            ImageRecord((float(n % CLASSES),), picture(n % CLASSES, seed + n, pixels), n)
            for n in range(count)
        ),
    )
    return content.getvalue()


@pytest.fixture(scope="session")
def rec() -> Callable[..., bytes]:
    """`rec(count, seed=0, pixels=12)`: a .rec file."""
    return records


@pytest.fixture
def bars(job: Job) -> Job:
    """A job with records of bars: 96 to train on, 30 to measure."""
    job.channel("train", {"train.rec": records(96)}, channels.RECORDS)
    return job.channel("validation", {"validation.rec": records(30, 1000)}, channels.RECORDS)


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Hyperparameters of a job that takes seconds."""
    return {
        "num_layers": 20,
        "num_classes": CLASSES,
        "num_training_samples": 96,
        "image_shape": f"3,{PIXELS},{PIXELS}",
        "mini_batch_size": 16,
        "epochs": 2,
        "learning_rate": 0.05,
    }

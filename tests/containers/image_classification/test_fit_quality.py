"""What the algorithm makes of real images: scikit-learn's handwritten digits, as PNG files."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sagelocal_formats.image_records import ImageRecord, write_image_records
from sagelocal_image_classification.channels import RECORDS
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from tests.containers.conftest import Job


def digits() -> tuple[bytes, bytes]:
    """Four fifths to train on and the rest to measure, as .rec files of 28 x 28 pixels."""
    images, labels = load_digits().images, load_digits().target
    files: tuple[io.BytesIO, io.BytesIO] = (io.BytesIO(), io.BytesIO())
    chosen: tuple[list[ImageRecord], list[ImageRecord]] = ([], [])
    for n in np.random.default_rng(0).permutation(len(labels)):
        content = io.BytesIO()
        grey = Image.fromarray((images[n] * 255 / 16).astype(np.uint8))
        grey.resize((28, 28), Image.Resampling.BILINEAR).convert("RGB").save(content, "PNG")
        record = ImageRecord((float(labels[n]),), content.getvalue(), int(n))
        chosen[len(chosen[0]) >= 1437].append(record)
    for file, records in zip(files, chosen, strict=True):
        write_image_records(file, records)
    return files[0].getvalue(), files[1].getvalue()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_eighteen_layers_know_97_of_100_digits_after_five_epochs(job: Job) -> None:
    train, validation = digits()
    job.channel("train", {"train.rec": train}, RECORDS)
    ended = job.channel("validation", {"validation.rec": validation}, RECORDS).run(
        num_layers=18,
        image_shape="3,28,28",
        num_classes=10,
        num_training_samples=1437,
        epochs=5,
        learning_rate=0.01,
    )
    assert ended.exit_code == 0, ended.log
    found = [float(v) for v in re.findall(r"Validation-accuracy=(\S+)", ended.log)]
    print(found, re.findall(r"Time cost=(\S+)", ended.log))
    assert max(found) >= 0.97

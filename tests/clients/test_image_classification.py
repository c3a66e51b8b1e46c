"""Image Classification trained, deployed and called by the SageMaker SDK, as its notebooks do."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sagelocal_formats.image_records import ImageRecord, write_image_records

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(1200)]

HERE = Path(__file__).parent / "image_classification"
NOTEBOOK = HERE / "notebook.py"


def test_a_model_is_trained_trained_on_deployed_and_asked(place: Any) -> None:
    seen, printed = place.notebook(NOTEBOOK, "records")

    assert "for incremental training" in printed
    assert "Epoch[0] Validation-accuracy=" in printed
    assert seen["files"] == [
        "image-classification-0001.params",
        "image-classification-symbol.json",
        "model-shapes.json",
    ]
    assert seen["metrics"]["validation:accuracy"] > 0.9
    assert [np.argmax(answer) for answer in seen["answers"]] == [0, 1, 2]
    [line] = seen["lines"].splitlines()
    assert np.argmax(json.loads(line)["prediction"]) == 1


def test_images_with_lists_are_trained_on_by_two_instances(terminal: Any) -> None:
    seen, printed = terminal.notebook(NOTEBOOK, "listed")

    assert "2 hosts train together" in printed
    assert "Creating record files for train.lst" in printed
    assert "image-classification-symbol.json" in seen["files"]
    assert seen["metrics"]["train:accuracy"] > 0.5


def test_records_and_an_augmented_manifest_are_piped(terminal: Any) -> None:
    seen, _ = terminal.notebook(NOTEBOOK, "piped")

    assert seen["metrics"]["train:accuracy"] > 0.8


@pytest.mark.docker
def test_the_image_in_the_sdks_own_local_mode(local_mode: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def picture(label: int) -> bytes:
        pixels = random.integers(0, 80, (12, 12, 3), np.uint8)
        pixels[:, label * 4 : label * 4 + 4] += 150
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        return content.getvalue()

    for name, count in (("train", 60), ("validation", 15)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / f"{name}.rec").open("wb") as out:
            images = (ImageRecord((float(n % 3),), picture(n % 3), n) for n in range(count))
            write_image_records(out, images)
    (tmp_path / "picture").write_bytes(picture(2))
    last = local_mode(HERE / "local_mode.py", "sagelocal/image-classification:1", tmp_path)

    assert len(json.loads(last)) == 3

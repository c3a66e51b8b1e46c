"""BlazingText trained, deployed and called by the SageMaker SDK, as its notebooks do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "blazingtext"
NOTEBOOK = HERE / "notebook.py"


def test_a_classifier_is_trained_deployed_and_asked(place: Any) -> None:
    seen, printed = place.notebook(NOTEBOOK, "classify", 1)

    assert seen["files"] == ["model.bin"]
    assert seen["metrics"]["train:accuracy"] > 0.95
    assert seen["metrics"]["validation:accuracy"] > 0.95
    assert [entry["label"][0] for entry in seen["answer"]] == [
        "__label__sports",
        "__label__politics",
    ]
    assert all(len(entry["label"]) == len(entry["prob"]) == 2 for entry in seen["answer"])
    [line] = seen["lines"].splitlines()
    assert json.loads(line)["label"] == ["__label__politics"]
    assert "-------------- End of epoch: 1" in printed


def test_word_vectors_of_two_instances_are_downloaded_and_asked_for(place: Any) -> None:
    seen, printed = place.notebook(NOTEBOOK, "embed", 2)

    assert (
        "Running distributed CPU BlazingText training using batch_skipgram on 2 hosts." in printed
    )
    assert seen["files"] == ["eval.json", "vectors.bin", "vectors.txt"]
    assert seen["first"] == "110 20"
    assert seen["words"] == ["a1", "nobody"]
    assert seen["same"] < 1e-4
    assert seen["unknown"]
    assert seen["evaluation"]["pairs.txt"]["total_pairs"] == 4
    # Every pair of one topic above every pair of two: 4 / sqrt(4 * 5), whatever the order within.
    assert seen["evaluation"]["mean_rho"] == pytest.approx(4 / 20**0.5, abs=1e-3)
    assert seen["metrics"]["train:mean_rho"] == pytest.approx(seen["evaluation"]["mean_rho"])


def test_an_augmented_manifest_is_piped(terminal: Any) -> None:
    seen, _ = terminal.notebook(NOTEBOOK, "manifest", 1)

    assert seen["metrics"]["train:accuracy"] > 0.95


@pytest.mark.docker
def test_the_image_in_the_sdks_own_local_mode(local_mode: Any, tmp_path: Path) -> None:
    text = tmp_path / "text" / "a.train"
    text.parent.mkdir()
    text.write_text("__label__good nice happy day\n__label__bad awful sad night\n" * 50)
    last = local_mode(HERE / "local_mode.py", "sagelocal/blazingtext:1", tmp_path, text)

    assert json.loads(last)[0]["label"] == ["__label__good"]

"""What `sagelocal model inspect` reads of SavedModels that TensorFlow wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from sagelocal.models.inspecting import inspect
from sagelocal.models.source import Files


@pytest.mark.parametrize(
    ("name", "inputs", "operators"),
    [
        ("half_plus_two", {"x": (None,)}, ["AddV2 mul", "Mul x"]),
        ("network", {"keras_tensor": (None, 3)}, ["MatMul keras_tensor"]),
        ("texts", {"text": (None,)}, ["StringUpper text"]),
        (
            "sums",
            {"a": (None,), "b": (None,)},
            ["AddV2 a Cast", "Cast a", "Cast b", "Sub Cast_1 b"],
        ),
    ],
)
def test_a_network_runs_from_the_signatures_inputs_to_its_outputs(
    models: Path, name: str, inputs: dict[str, tuple[int | None, ...]], operators: list[str]
) -> None:
    network = inspect(Files.of(models / name)).network

    assert network is not None
    assert network.inputs == inputs
    assert sorted(" ".join((each.op, *each.inputs)) for each in network.operators) == operators
    assert set(network.outputs) <= {each.name for each in network.operators}

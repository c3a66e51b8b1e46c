"""A user's script for ModelBuilder: adds what the model holds to what it is sent."""

import json
from pathlib import Path


def model_fn(model_dir: str) -> float:
    """What the training script left."""
    total: float = json.loads(Path(model_dir, "total.json").read_text())
    return total


def input_fn(body: bytes, content_type: str) -> list[float]:
    """The numbers of a JSON list."""
    numbers: list[float] = json.loads(body)
    return numbers


def predict_fn(numbers: list[float], total: float) -> list[float]:
    """The sums."""
    return [number + total for number in numbers]


def output_fn(sums: list[float], accept: str) -> str:
    """As JSON."""
    return json.dumps(sums)

"""Series with seasons in them, as records of channels, and a tiny network to learn them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Record = dict[str, Any]
TINY: Mapping[str, object] = {
    "time_freq": "H",
    "context_length": 12,
    "prediction_length": 6,
    "epochs": 2,
    "num_cells": 8,
    "num_layers": 1,
    "mini_batch_size": 8,
    "num_eval_samples": 20,
}


def json_lines(records: Iterable[Record]) -> str:
    """Records as a file of JSON Lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def seasonal(count: int, length: int, season: int = 24, seed: int = 0) -> list[Record]:
    """Series of one season, of sizes and phases of their own, with noise of a twentieth."""
    random = np.random.default_rng(seed)
    records = []
    for _ in range(count):
        level, phase = 1 + 9 * random.random(), random.integers(season)
        swing = (0.1 + 0.3 * random.random()) * level
        wave = np.sin((np.arange(length) + phase) * 2 * np.pi / season)
        values = level + swing * wave + 0.05 * level * random.normal(size=length)
        records.append({"start": "2016-01-01 00:00:00", "target": values.round(4).tolist()})
    return records


def without_end(records: Iterable[Record], steps: int) -> list[Record]:
    """The same series without their last values."""
    return [
        record
        | {"target": record["target"][:-steps]}
        | (
            {"dynamic_feat": [row[:-steps] for row in record["dynamic_feat"]]}
            if "dynamic_feat" in record
            else {}
        )
        for record in records
    ]

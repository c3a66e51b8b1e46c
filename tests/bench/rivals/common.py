"""What the rivals' scripts share: train a model and keep it, or say how long it takes to score.

    python RIVAL.py train FOLDER MODEL '{"k": 5}'
    python RIVAL.py score FOLDER MODEL

FOLDER has the rows as `rows.npy`, their labels as `labels.npy` where there are some, more rows as
`requests.npy`, and requests.json says how many of these a request has: `request-1` is the body with
the first. `score` prints `{"rows": {"1": {"call": seconds, "whole": seconds}}, "answers": [...]}`:
the call on an array by the clock, and the call with the body read and JSON written, by processor
time; medians.
"""

from __future__ import annotations

import json
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_CALLS, _SECONDS = 50, 1.5


def rows(folder: Path, name: str = "rows") -> Any:
    """An array of the folder."""
    return np.load(folder / f"{name}.npy")


def csv(body: bytes) -> Any:
    """A body's rows."""
    return np.loadtxt(body.decode().splitlines(), np.float32, delimiter=",", ndmin=2)


def run(
    train: Callable[[Path, dict[str, Any]], Any],
    scores: Callable[[Any, Any], Any],
    save: Callable[[Any, Path], None] | None = None,
    load: Callable[[Path], Any] | None = None,
    read: Callable[[Path, str], Any] = rows,
    decode: Callable[[bytes], Any] = csv,
) -> None:
    """What the command line asks for."""
    verb, folder, path = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if verb == "train":
        model = train(folder, json.loads(sys.argv[4]))
        if save is None:
            path.write_bytes(pickle.dumps(model))
        else:
            save(model, path)
        return
    model = pickle.loads(path.read_bytes()) if load is None else load(path)
    requests = read(folder, "requests")
    found = {}
    for size in json.loads((folder / "requests.json").read_text())["rows"]:
        asked, body = requests[:size], (folder / f"request-{size}").read_bytes()
        found[str(size)] = {
            "call": _median(lambda asked=asked: scores(model, asked), time.perf_counter),
            "whole": _median(
                lambda body=body: answered(scores(model, decode(body))), time.process_time
            ),
        }
    answers = np.asarray(scores(model, requests)).ravel().tolist()
    print(json.dumps({"rows": found, "answers": answers}))


def answered(scores: Any) -> bytes:
    """JSON as the algorithms answer it."""
    values = np.asarray(scores).tolist()
    return json.dumps({"predictions": [{"score": value} for value in values]}).encode()


def _median(call: Callable[[], object], clock: Callable[[], float]) -> float:
    taken: list[float] = []
    began = time.perf_counter()
    call()
    while len(taken) < _CALLS and (len(taken) < 2 or time.perf_counter() - began < _SECONDS):
        start = clock()
        call()
        taken.append(clock() - start)
    return statistics.median(taken)

"""Forecasts: the network of a model in numpy, and paths drawn from it step by step.

The LSTM reads the known steps of each series once; from there as many paths go on as samples are
wanted, each seeing the values that were drawn for it as if they were known. MXNet is not needed,
which saves a server its second of import, 100 MB in every worker, and threads that survive no fork.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_deepar.dataset import Integers, Laid, Windows, seen
from sagelocal_deepar.frequency import Floats
from sagelocal_deepar.likelihoods import drawn
from sagelocal_deepar.network_arrays import PREFIX, shapes
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape

SEED = 20
_PATHS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of the LSTM. Weights are (inputs, 4 x cells), for input, forget, new and output.

    All gates go through one tanh: those that want a logistic function have half of the weights.
    """

    of_inputs: Floats
    of_cells: Floats
    bias: Floats

    def step(self, inputs: Floats, state: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """The next output and memory; `inputs` are multiplied by their weights already."""
        output, memory = state
        gates = np.tanh(inputs + output @ self.of_cells)
        cells = memory.shape[1]
        enter, keep = gates[:, :cells], gates[:, cells : 2 * cells]
        new, leave = gates[:, 2 * cells : 3 * cells], gates[:, 3 * cells :]
        memory = 0.5 * ((keep + 1) * memory + (enter + 1) * new)
        return 0.5 * (leave + 1) * np.tanh(memory), memory


class Forecaster:
    """A trained model."""

    def __init__(self, shape: Shape, arrays: Mapping[str, NDArray[Any]]) -> None:
        """`arrays` by the names that the network gives them; raises KeyError and ValueError."""
        self.shape = shape
        own = {name: _checked(arrays, name, size) for name, size in shapes(shape).items()}
        self._embeddings = [
            own[f"{PREFIX}embedding{number}_weight"] for number in range(len(shape.cardinality))
        ]
        self._layers = [_layer(own, shape.num_cells, number) for number in range(shape.num_layers)]
        self._output = own[PREFIX + "output_weight"].T
        self._bias = own[PREFIX + "output_bias"]
        self._direct = own[PREFIX + "direct_weight"][0]

    def samples(
        self,
        series: Sequence[Series],
        count: int,
        random: np.random.Generator | None = None,
        spread: float | None = None,
    ) -> Floats:
        """`count` paths for each series, of its next `prediction_length` values.

        Dynamic features go as far as the forecast does. The shape is (series, paths, steps). The
        same question has the same answer unless there is a `random`.
        """
        random = np.random.default_rng(SEED) if random is None else random
        spread = self.shape.spread if spread is None else spread
        paths = 1 if self.shape.likelihood == "deterministic-L1" else count
        size = max(1, _PATHS_AT_ONCE // paths)
        parts = [
            self._samples(series[first : first + size], paths, random, spread)
            for first in range(0, len(series), size)
        ]
        found = np.concatenate(parts)
        return np.repeat(found, count, axis=1) if paths < count else found

    def raw(self, windows: Windows) -> Floats:
        """The raw parameters of the likelihood at every step of windows, as the network's."""
        states, inputs = self._beginning(windows)
        location, scale = windows.location[:, None], windows.scale[:, None]
        lagged = seen(windows.lagged, location, scale)
        found = [
            self._next(lagged[:, step], inputs[:, step], states) for step in range(lagged.shape[1])
        ]
        return np.stack(found, axis=1)

    def _samples(
        self, series: Sequence[Series], paths: int, random: np.random.Generator, spread: float
    ) -> Floats:
        shape = self.shape
        laid = Laid(series, shape, room_after=shape.prediction_length)
        numbers: Integers = np.arange(len(series))
        windows = laid.windows(numbers, laid.lengths)
        states, inputs = self._beginning(windows)
        location, scale = windows.location, windows.scale
        known = seen(windows.lagged, location[:, None], scale[:, None])
        for step in range(shape.context_length):
            self._next(known[:, step], inputs[:, step], states)
        states = [
            (np.repeat(output, paths, axis=0), np.repeat(memory, paths, axis=0))
            for output, memory in states
        ]
        location, scale = np.repeat(location, paths), np.repeat(scale, paths)
        farthest, lags = max(shape.lags), np.array(shape.lags)
        before = np.repeat(laid.known(numbers, laid.lengths)[:, -farthest:], paths, axis=0)
        values = np.concatenate(
            [before, np.zeros((len(before), shape.prediction_length), np.float32)], axis=1
        )
        for step in range(shape.prediction_length):
            lagged = seen(values[:, farthest + step - lags], location, scale)
            fixed = np.repeat(inputs[:, shape.context_length + step], paths, axis=0)
            raw = self._next(lagged, fixed, states)
            values[:, farthest + step] = drawn(
                shape.likelihood, raw, location, scale, spread, random
            )
        return values[:, farthest:].reshape(len(series), paths, shape.prediction_length)

    def _beginning(self, windows: Windows) -> tuple[list[tuple[Floats, Floats]], Floats]:
        """States of zeros, and what inputs other than lagged values give the first layer."""
        shape, first = self.shape, self._layers[0]
        zeros = np.zeros((len(windows.values), shape.num_cells), np.float32)
        states = [(zeros, zeros) for _ in self._layers]
        rest = [windows.features]
        for number, embedding in enumerate(self._embeddings):
            vectors = embedding[windows.categories[:, number]]
            steps = windows.features.shape[1]
            rest.append(np.repeat(vectors[:, None, :], steps, axis=1))
        weights = first.of_inputs[shape.lag_inputs :]
        return states, np.concatenate(rest, axis=2) @ weights + first.bias

    def _next(self, lagged: Floats, fixed: Floats, states: list[tuple[Floats, Floats]]) -> Floats:
        """The raw parameters of the next step; moves the states on."""
        first = self._layers[0]
        inputs = lagged @ first.of_inputs[: self.shape.lag_inputs] + fixed
        for number, layer in enumerate(self._layers):
            if number:
                inputs = states[number - 1][0] @ layer.of_inputs + layer.bias
            states[number] = layer.step(inputs, states[number])
        raw: Floats = states[-1][0] @ self._output + self._bias
        raw[:, 0] += lagged @ self._direct
        return raw


def _layer(arrays: Mapping[str, Floats], cells: int, number: int) -> _Layer:
    halves = np.full(4 * cells, 0.5, np.float32)
    halves[2 * cells : 3 * cells] = 1
    name = f"{PREFIX}lstm_l{number}_"
    return _Layer(
        np.ascontiguousarray(arrays[name + "i2h_weight"].T * halves),
        np.ascontiguousarray(arrays[name + "h2h_weight"].T * halves),
        (arrays[name + "i2h_bias"] + arrays[name + "h2h_bias"]) * halves,
    )


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]) -> Floats:
    array = arrays[name]
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
    return array.astype(np.float32)

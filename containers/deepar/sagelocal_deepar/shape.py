"""What a model is besides its weights: lengths, lags, features, and how values are scaled.

It is saved beside the weights, in the artifact's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sagelocal_deepar.frequency import Floats, Frequency
from sagelocal_deepar.hyperparameters import LIKELIHOODS, Likelihood

# Scales are not taken to be smaller than this part of what is usual.
_LEAST_OF_USUAL = 0.01
# What is usual counts as much as so many values of a series.
_WORTH = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's inputs and outputs.

    `usual_location` and `usual_scale` stand for series of which nothing is known, `usual_ratio` is
    that of a series' mean deviation to its mean size. Dynamic features
    are centred by `dynamic_means` and divided by `dynamic_deviations`. `spread` widens the
    likelihood: forecasts on data that was held back had to be so much wider.
    """

    frequency: Frequency
    context_length: int
    prediction_length: int
    likelihood: Likelihood
    lags: tuple[int, ...]
    scale_length: int
    cardinality: tuple[int, ...] = ()
    embedding_dimension: int = 10
    num_cells: int = 40
    num_layers: int = 2
    dynamic_means: tuple[float, ...] = ()
    dynamic_deviations: tuple[float, ...] = ()
    usual_location: float = 0.0
    usual_scale: float = 1.0
    usual_ratio: float = 1.0
    spread: float = 1.0

    #: Numbers that are said of a series as a whole: how large its values are, and how varied.
    series_features = 2

    @property
    def dynamic_features(self) -> int:
        """How many series `dynamic_feat` holds."""
        return len(self.dynamic_means)

    @property
    def lag_inputs(self) -> int:
        """Numbers that the network sees of earlier values, at each step."""
        return len(self.lags) + 1

    @property
    def other_inputs(self) -> int:
        """Numbers that it sees besides, without embeddings."""
        return self.frequency.features + 1 + self.dynamic_features + self.series_features

    @property
    def inputs(self) -> int:
        """All inputs of the LSTM."""
        embedded = len(self.cardinality) * self.embedding_dimension
        return self.lag_inputs + self.other_inputs + embedded

    @property
    def outputs(self) -> int:
        """Parameters of the likelihood."""
        return {"student-T": 3, "deterministic-L1": 1}.get(self.likelihood, 2)

    def standardised(self, dynamic: Floats) -> Floats:
        """Dynamic features as the network sees them; a row for each."""
        means = np.array(self.dynamic_means, np.float32)[:, None]
        return (dynamic - means) / np.array(self.dynamic_deviations, np.float32)[:, None]

    def scales(self, seen: Floats) -> tuple[Floats, Floats]:
        """The location and the scale of each row of known values, NaN where there is none.

        Counts and shares are not centred: their likelihoods begin at 0.
        """
        there = ~np.isnan(seen)
        counts = there.sum(axis=1)
        values = np.where(there, seen, np.float32(0)).astype(np.float64)
        if self.likelihood == "beta":
            ones = np.ones(len(seen), np.float32)
            return np.zeros_like(ones), ones
        divisor = np.maximum(counts, 1)
        sizes = np.abs(values).sum(axis=1) / divisor
        if self.likelihood == "negative-binomial":
            scale = np.where(counts > 0, 1 + sizes, self.usual_scale)
            return np.zeros(len(seen), np.float32), scale.astype(np.float32)
        means = values.sum(axis=1) / divisor
        deviations = np.abs(np.where(there, values - means[:, None], 0)).sum(axis=1) / divisor
        # A few values that do not vary yet say little: others of their size do.
        expected = np.maximum(self.usual_ratio * sizes, _LEAST_OF_USUAL * self.usual_scale)
        own = np.log(np.maximum(deviations, _LEAST_OF_USUAL * expected))
        scale = np.exp((counts * own + _WORTH * np.log(expected)) / (counts + _WORTH))
        location = np.where(counts > 0, means, self.usual_location)
        scale = np.where(counts > 0, scale, self.usual_scale)
        return location.astype(np.float32), scale.astype(np.float32)

    def of_series(self, location: Floats, scale: Floats) -> Floats:
        """The numbers that are said of series as a whole."""
        size = np.log(scale / self.usual_scale) / 4
        offset = np.arcsinh((location - self.usual_location) / scale) / 4
        return np.stack([size, offset], axis=-1).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """The members of the configuration file; the names of hyperparameters where there are."""
        return {
            "time_freq": str(self.frequency),
            "context_length": self.context_length,
            "prediction_length": self.prediction_length,
            "likelihood": self.likelihood,
            "lags": list(self.lags),
            "scale_length": self.scale_length,
            "cardinality": list(self.cardinality),
            "embedding_dimension": self.embedding_dimension,
            "num_cells": self.num_cells,
            "num_layers": self.num_layers,
            "num_dynamic_feat": self.dynamic_features,
            "dynamic_means": list(self.dynamic_means),
            "dynamic_deviations": list(self.dynamic_deviations),
            "usual_location": self.usual_location,
            "usual_scale": self.usual_scale,
            "usual_ratio": self.usual_ratio,
            "spread": self.spread,
        }

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Shape:
        """The shape that `to_json` gave; raises KeyError, TypeError and ValueError."""
        if saved["likelihood"] not in LIKELIHOODS:
            raise ValueError(f"the likelihood {saved['likelihood']!r} is unknown")
        return Shape(
            frequency=Frequency.parse(saved["time_freq"]),
            context_length=int(saved["context_length"]),
            prediction_length=int(saved["prediction_length"]),
            likelihood=saved["likelihood"],
            lags=tuple(int(lag) for lag in saved["lags"]),
            scale_length=int(saved["scale_length"]),
            cardinality=tuple(int(count) for count in saved["cardinality"]),
            embedding_dimension=int(saved["embedding_dimension"]),
            num_cells=int(saved["num_cells"]),
            num_layers=int(saved["num_layers"]),
            dynamic_means=tuple(float(each) for each in saved["dynamic_means"]),
            dynamic_deviations=tuple(float(each) for each in saved["dynamic_deviations"]),
            usual_location=float(saved["usual_location"]),
            usual_scale=float(saved["usual_scale"]),
            usual_ratio=float(saved["usual_ratio"]),
            spread=float(saved["spread"]),
        )

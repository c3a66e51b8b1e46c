"""Draws from the likelihoods, from the network's raw parameters: the counterpart of its losses."""

from __future__ import annotations

import numpy as np

from sagelocal_deepar.frequency import Floats
from sagelocal_deepar.hyperparameters import Likelihood

_CLOSE = 1e-3
_MOST = 1e9


def drawn(
    likelihood: Likelihood,
    raw: Floats,
    location: Floats,
    scale: Floats,
    spread: float,
    random: np.random.Generator,
) -> Floats:
    """One value for each row of raw parameters, `spread` times as far from the mean as learned."""
    numbers = raw.astype(np.float64)
    first = numbers[:, 0]
    if likelihood == "deterministic-L1":
        return (location + scale * first).astype(np.float32)
    second = _softplus(numbers[:, 1])
    if likelihood == "gaussian":
        noise = random.standard_normal(len(raw)) * (second + _CLOSE)
        return (location + scale * (first + spread * noise)).astype(np.float32)
    if likelihood == "student-T":
        freedom = 2 + _softplus(numbers[:, 2])
        noise = random.standard_t(freedom) * (second + _CLOSE)
        return (location + scale * (first + spread * noise)).astype(np.float32)
    if likelihood == "beta":
        mean = _CLOSE / 2 + (1 - _CLOSE) / (1 + np.exp(-np.clip(first, -50, 50)))
        concentration = (second + 0.1) / spread**2
        shares = random.beta(mean * concentration + 1e-6, (1 - mean) * concentration + 1e-6)
        return shares.astype(np.float32)
    mean = scale * (_softplus(first) + 1e-5)
    dispersion = (second / np.sqrt(scale) + 1e-4) * spread**2
    rates = random.gamma(1 / dispersion, dispersion * mean)
    return random.poisson(np.minimum(rates, _MOST)).astype(np.float32)


def _softplus(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.logaddexp(0, numbers)

"""Values as Java writes them, which is what callers of the original read, and what Spark hashes.

Double.toString and Integer.valueOf (Java SE API), and Spark's Murmur3 (org.apache.spark.unsafe).
"""

from __future__ import annotations

import math
from typing import Any

_SCIENTIFIC_FROM, _SCIENTIFIC_BELOW = 1e7, 1e-3
_MASK = 0xFFFFFFFF
_SEED = 42


def text(value: Any) -> str:
    """A value as `toString` gives it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _decimal(float(value)) if isinstance(value, float) else str(value)


def _decimal(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or _SCIENTIFIC_BELOW <= abs(value) < _SCIENTIFIC_FROM:
        written = repr(value)
        return written if "e" not in written else f"{value:.17f}".rstrip("0")
    digits, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits, _, exponent = _normalised(value).partition("e")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def _normalised(value: float) -> str:
    """The shortest digits of a number with one of them before the point."""
    for precision in range(17):
        found = f"{value:.{precision}e}"
        if float(found) == value:
            return found
    return f"{value:.16e}"


def murmur3(data: bytes, standard: bool) -> int:
    """Spark's hash of bytes, as a signed integer of 32 bits.

    Spark 2 takes each byte after the last four as a word of its own; since Spark 3 it is the
    `standard` Murmur3.
    """
    aligned = len(data) - len(data) % 4
    state = _SEED
    for at in range(0, aligned, 4):
        state = _mixed(state, int.from_bytes(data[at : at + 4], "little"))
    rest = data[aligned:]
    if standard:
        state ^= _scrambled(int.from_bytes(rest, "little")) if rest else 0
    else:
        for byte in rest:
            # Java's bytes are signed.
            state = _mixed(state, (byte - 256 if byte > 127 else byte) & _MASK)
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


def _mixed(state: int, word: int) -> int:
    state ^= _scrambled(word)
    return (_rotated(state, 13) * 5 + 0xE6546B64) & _MASK


def _scrambled(word: int) -> int:
    return _rotated(word * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & _MASK

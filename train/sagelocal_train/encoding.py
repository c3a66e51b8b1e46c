"""The encodings between a request's strings, Python values, environment variables and arguments.

    hyperparameters.json {"epochs": "5", "name": "abc"} -> decode    -> {"epochs": 5, "name": "abc"}
    {"epochs": 5}                                       -> variables -> SM_EPOCHS=5
                                                        -> arguments -> --epochs 5

Scripts depend on the exact forms of the SageMaker training toolkit, so its rules are kept: each
value is JSON if it parses as JSON and the raw string otherwise ("007" stays "007", "NaN" becomes a
float); names are only upper-cased in variables, dashes stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def decode_value(text: str) -> Any:
    """The value that a script sees for one hyperparameter's text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def decode(raw: Mapping[str, str]) -> dict[str, Any]:
    """All hyperparameters as a script sees them."""
    return {name: decode_value(text) for name, text in raw.items()}


def encode_value(value: Any) -> str:
    """The text of an environment variable: strings as they are, the rest as compact JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def variables(values: Mapping[str, Any]) -> dict[str, str]:
    """`{"num_gpus": 0}` as `{"SM_NUM_GPUS": "0"}`."""
    return {f"SM_{name.upper()}": encode_value(value) for name, value in values.items()}


def arguments(values: Mapping[str, Any]) -> list[str]:
    """`{"epochs": 5, "a": True}` as `["-a", "True", "--epochs", "5"]`, sorted by name."""
    return [part for name in sorted(values) for part in (_option(name), _argument(values[name]))]


def _option(name: str) -> str:
    if not name:
        return ""
    return f"--{name}" if len(name) > 1 else f"-{name}"


def _argument(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return str(value)

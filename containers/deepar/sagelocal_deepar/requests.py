"""What callers ask: series, and what they want to know of their forecasts.

    application/json        {"instances": [{"start": ..., "target": [...]}], "configuration": {...}}
    application/jsonlines   {"start": ..., "target": [...]}      one to a line

The configuration of JSON Lines is the environment's DEEPAR_INFERENCE_CONFIG (developer guide,
"DeepAR Inference Formats").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagelocal_serve.codecs.json_lines import decode_json_lines
from sagelocal_serve.codecs.json_text import decode_json
from sagelocal_serve.codecs.text import decode_text
from sagelocal_serve.errors import BadRequest, ModelError, UnsupportedMediaType
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import JSON, JSON_LINES, OCTET_STREAM

from sagelocal_deepar.matching import fitting
from sagelocal_deepar.series import RecordError, Series, series_of
from sagelocal_deepar.shape import Shape

CONFIGURATION_VARIABLE = "DEEPAR_INFERENCE_CONFIG"
TYPES = (JSON, JSON_LINES)
OUTPUT_TYPES = ("mean", "quantiles", "samples")
MOST_SAMPLES = 10_000
_FORM = '{"instances": [{"start": "2009-11-01 00:00:00", "target": [4.3, 5.1]}]}'


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is wanted of each forecast. Quantiles are texts: they name the members of the answer."""

    num_samples: int = 100
    output_types: tuple[str, ...] = ("mean", "quantiles")
    quantiles: tuple[str, ...] = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9")


@dataclass(frozen=True, slots=True)
class Question:
    """All of a request; `preferred` is the type to answer in if the caller does not care."""

    series: list[Series]
    configuration: Configuration
    preferred: str


def decode(request: Request, shape: Shape, batch: Configuration) -> Question:
    """The request's series; raises BadRequest or UnsupportedMediaType."""
    given = request.content_type.canonical
    # Clients that name no type send JSON: the SDK's default serializer says octet-stream.
    kind = JSON if given == OCTET_STREAM else given
    if kind not in TYPES:
        raise UnsupportedMediaType.of(request.content_type, TYPES)
    text = decode_text(request.body, request.content_type)
    if kind == JSON_LINES:
        records = [
            _series(record, f"Record {number}", shape)
            for number, record in enumerate(decode_json_lines(text), 1)
        ]
        if not records:
            raise BadRequest("The request has no lines: send a time series in each.")
        return Question(records, batch, JSON_LINES)
    document = decode_json(text)
    if not isinstance(document, Mapping) or not isinstance(document.get("instances"), list):
        raise BadRequest(f"The JSON has no list of instances: send {_FORM}.")
    if not document["instances"]:
        raise BadRequest(f"The list of instances is empty: send {_FORM}.")
    configuration = configuration_of(document.get("configuration") or {})
    series = [
        _series(record, f"Instance {number}", shape)
        for number, record in enumerate(document["instances"], 1)
    ]
    return Question(series, configuration, JSON)


def of_environment(text: str | None) -> Configuration:
    """The configuration of batch transform; raises ModelError."""
    if not text:
        return Configuration()
    try:
        return configuration_of(json.loads(text))
    except (ValueError, BadRequest) as error:
        raise ModelError(f"{CONFIGURATION_VARIABLE} is {text!r}: {error}") from error


def configuration_of(given: Any) -> Configuration:
    """The configuration, with what it does not say as usual; raises BadRequest."""
    if not isinstance(given, Mapping):
        raise BadRequest(f'The configuration is {given!r}, not an object: {{"num_samples": 50}}.')
    usual = Configuration()
    return Configuration(
        _count(given.get("num_samples", usual.num_samples)),
        _outputs(given.get("output_types", list(usual.output_types))),
        _quantiles(given.get("quantiles", list(usual.quantiles))),
    )


def _count(given: Any) -> int:
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not whole or not 1 <= given <= MOST_SAMPLES:
        raise BadRequest(
            f"configuration.num_samples is {given!r}, not a whole number from 1 to {MOST_SAMPLES}."
        )
    return int(given)


def _outputs(given: Any) -> tuple[str, ...]:
    known = isinstance(given, list) and given and all(each in OUTPUT_TYPES for each in given)
    if not known:
        raise BadRequest(
            f"configuration.output_types is {given!r}, not a list of some of "
            f"{', '.join(map(repr, OUTPUT_TYPES))}."
        )
    return tuple(dict.fromkeys(given))


def _quantiles(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise BadRequest(f'configuration.quantiles is {given!r}, not a list such as ["0.5"].')
    for each in given:
        try:
            right = not isinstance(each, bool) and 0 < float(each) < 1
        except (TypeError, ValueError):
            right = False
        if not right:
            raise BadRequest(
                f"configuration.quantiles has {each!r}, which is no number between 0 and 1."
            )
    return tuple(dict.fromkeys(str(each) for each in given))


def _series(record: Any, where: str, shape: Shape) -> Series:
    try:
        ahead = shape.prediction_length
        return fitting(series_of(record, shape.frequency, ahead), shape, ignored=False)
    except RecordError as error:
        raise BadRequest(f"{where}: {error}.") from error

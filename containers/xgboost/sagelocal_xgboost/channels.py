"""The channels of the built-in algorithm, checked in the original's words.

`train` and `validation` are rows of numbers, label first; `code` is accepted and not looked at
(sagemaker-xgboost-container, algorithm_mode/channel_validation.py). A channel without a content
type is libsvm text, as there.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagelocal_train.channels import (
    ChannelDeclaration,
    Channels,
    InputMode,
    media_parameters,
    media_type,
)
from sagelocal_train.config import Channel

from sagelocal_xgboost.declarations import UserError

CSV, LIBSVM, PARQUET, RECORDIO = "csv", "libsvm", "parquet", "recordio-protobuf"

KINDS = {
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "libsvm": LIBSVM,
    "text/csv": CSV,
    "csv": CSV,
    "application/x-parquet": PARQUET,
    "parquet": PARQUET,
    "application/x-recordio-protobuf": RECORDIO,
    "recordio-protobuf": RECORDIO,
}
"""Content types as a job may write them, and the format that each one means."""

_MODES: tuple[InputMode, ...] = ("File", "FastFile", "Pipe")

CHANNELS = Channels(
    ChannelDeclaration(
        "train",
        required=True,
        content_types=tuple(KINDS),
        input_modes=_MODES,
        help="Rows to learn from, the label first. Several hosts may have parts of them.",
    ),
    ChannelDeclaration(
        "validation",
        content_types=tuple(KINDS),
        input_modes=_MODES,
        help="Rows to measure by after each round, in the form of `train`.",
    ),
    ChannelDeclaration("code", content_types=("text/python",), help="Accepted, and not looked at."),
)


def validate(channels: Mapping[str, Channel]) -> None:
    """Raise UserError that says all that is wrong, a line each."""
    problems = [
        f"Missing required channel: {name}"
        for name, declared in CHANNELS.declarations.items()
        if declared.required and name not in channels
    ]
    for name, channel in channels.items():
        declared = CHANNELS.declarations.get(name)
        if declared is None:
            problems.append(
                f"Extraneous channel found: {name}. Channels are {', '.join(CHANNELS.declarations)}"
            )
        else:
            problems += _problems(channel, declared)
    if problems:
        raise UserError("\n".join(problems))


def kind_of(channel: Channel, default: Channel | None = None) -> str:
    """The format of a channel whose content type is in order; libsvm where none is given."""
    given = channel.content_type or (default.content_type if default else None)
    return KINDS[media_type(given)] if given else LIBSVM


def _problems(channel: Channel, declared: ChannelDeclaration) -> list[str]:
    """What is wrong with a channel that the algorithm has."""
    given = channel.content_type
    if given is not None and media_type(given) not in declared.content_types:
        return [
            f"Channel {channel.name}: {given} is not an accepted ContentType: "
            f"{', '.join(declared.content_types)}."
        ]
    if channel.input_mode not in declared.input_modes:
        return [
            f"Channel configuration for '{channel.name}' channel is not supported: "
            f"TrainingInputMode {channel.input_mode}. Use {', '.join(declared.input_modes)}"
        ]
    return [] if channel.name == "code" else _problems_of_rows(channel, kind_of(channel))


def _problems_of_rows(channel: Channel, kind: str) -> list[str]:
    if kind == CSV and media_parameters(channel.content_type or "").get("label_size", "1") != "1":
        return [
            f"Channel {channel.name}: {channel.content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        ]
    if kind == LIBSVM and channel.input_mode == "Pipe":
        return [
            f"Channel {channel.name}: Pipe mode not supported for LibSVM. Use File mode, or "
            "another ContentType"
        ]
    return []

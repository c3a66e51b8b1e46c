"""The channels of an algorithm, declared once: checked at the start, and told to CreateAlgorithm.

CHANNELS = Channels(
    ChannelDeclaration("train", required=True, content_types=("text/csv",)),
    ChannelDeclaration("validation", content_types=("text/csv",)),
)
CHANNELS.validate(environment.channels)      # raises one UserError for all violations
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

InputMode = Literal["File", "FastFile", "Pipe"]


@dataclass(frozen=True)
class ChannelDeclaration:
    """One channel that an algorithm reads. No content types means: any.

    A channel whose request names no content type is read as the first of them.
    """

    name: str
    required: bool = False
    content_types: tuple[str, ...] = ()
    input_modes: tuple[InputMode, ...] = ("File", "FastFile")
    help: str = ""

    def violations(self, channel: Channel) -> list[str]:
        """What is wrong with the channel that a job gives, in words for the user."""
        found = []
        if channel.input_mode not in self.input_modes:
            found.append(
                f"Channel {self.name!r} has TrainingInputMode {channel.input_mode!r}, which this "
                f"algorithm does not read: use {_or(self.input_modes)}"
            )
        if self.content_types and self.content_type(channel) is None:
            found.append(
                f"Channel {self.name!r} has ContentType {channel.content_type!r}, which this "
                f"algorithm does not read: use {_or(self.content_types)}"
            )
        return found

    def content_type(self, channel: Channel) -> str | None:
        """The declared type that the channel's matches, its parameters left aside.

        None if there is no such type. `text/csv;label_size=0` matches `text/csv`.
        """
        if channel.content_type is None:
            return self.content_types[0] if self.content_types else None
        given = media_type(channel.content_type)
        return next((declared for declared in self.content_types if declared == given), None)

    def specification(self) -> dict[str, Any]:
        """This declaration as CreateAlgorithm's ChannelSpecification."""
        described: dict[str, Any] = {
            "Name": self.name,
            "IsRequired": self.required,
            "SupportedContentTypes": list(self.content_types),
            "SupportedCompressionTypes": ["None"],
            "SupportedInputModes": list(self.input_modes),
        }
        return described | ({"Description": self.help} if self.help else {})


class Channels:
    """All channels of an algorithm. A channel that is not declared is refused."""

    def __init__(self, *declarations: ChannelDeclaration) -> None:
        self.declarations = {declared.name: declared for declared in declarations}
        if len(self.declarations) != len(declarations):
            raise ValueError("a channel is declared twice")

    def validate(self, channels: Mapping[str, Channel]) -> None:
        """Raise UserError that says all violations at once, one a line."""
        found = [
            f"{name!r} is a required channel: add it to the job's InputDataConfig "
            f"(given: {_or(tuple(channels)) if channels else 'none'})"
            for name, declared in self.declarations.items()
            if declared.required and name not in channels
        ]
        for name, channel in channels.items():
            declared = self.declarations.get(name)
            if declared is None:
                found.append(
                    f"Channel {name!r} is unknown to this algorithm: use {_or(self.declarations)}"
                )
            else:
                found += declared.violations(channel)
        if found:
            raise UserError("\n".join(found))

    def markdown(self) -> str:
        """The README's table of channels."""
        rows = ["| channel | required | content types | input modes | description |"]
        rows.append("|---|---|---|---|---|")
        for declared in self.declarations.values():
            types = ", ".join(f"`{name}`" for name in declared.content_types) or "any"
            cells = [f"`{declared.name}`", "yes" if declared.required else "", types]
            cells += [", ".join(declared.input_modes), declared.help]
            rows.append("| " + " | ".join(cells) + " |")
        return "\n".join(rows) + "\n"

    def specification(self) -> list[dict[str, Any]]:
        """The TrainingChannels of a CreateAlgorithm TrainingSpecification."""
        return [declared.specification() for declared in self.declarations.values()]


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case: `text/csv` of `text/csv; a=b`."""
    return content_type.partition(";")[0].strip().lower()


def media_parameters(content_type: str) -> dict[str, str]:
    """The parameters of a content type: `{"label_size": "0"}` of `text/csv;label_size=0`."""
    pairs = (part.partition("=") for part in content_type.split(";")[1:] if part.strip())
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _or(names: tuple[str, ...] | Mapping[str, Any]) -> str:
    return " or ".join(repr(name) for name in names)

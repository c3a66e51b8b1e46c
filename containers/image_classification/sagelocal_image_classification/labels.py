"""What is written as an image's label, as what the network is to answer.

One class: its number, from 0. Several (`multi_label`): a 0 or 1 for each class, or with
`label-format=class-id` the numbers of the classes that are there; both become 0s and 1s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagelocal_image_classification.channels import LabelFormat


class WrongLabel(ValueError):
    """A label that cannot be; the text says which, and the next step."""


@dataclass(frozen=True, slots=True)
class Labels:
    """How the labels of a channel are read."""

    num_classes: int
    multi_label: bool = False
    label_format: LabelFormat = "multi-hot"

    @property
    def width(self) -> int:
        """Numbers in a label."""
        return self.num_classes if self.multi_label else 1

    def read(self, given: Sequence[float]) -> tuple[float, ...]:
        """The label of one image; raises WrongLabel."""
        if not self.multi_label:
            return (self._one(given),)
        if self.label_format == "class-id":
            there = {self._class(number) for number in given}
            return tuple(float(number in there) for number in range(self.num_classes))
        return self._multi_hot(given)

    def _one(self, given: Sequence[float]) -> float:
        if len(given) != 1:
            raise WrongLabel(
                f"it has {len(given)} labels, and multi_label is 0: give one, or set multi_label "
                "to 1"
            )
        return float(self._class(given[0]))

    def _class(self, number: float) -> int:
        if not float(number).is_integer() or not 0 <= number < self.num_classes:
            raise WrongLabel(
                f"its label is {number:g}; with num_classes {self.num_classes} labels are whole "
                f"numbers from 0 to {self.num_classes - 1}. Number the classes from 0, or set "
                "num_classes"
            )
        return int(number)

    def _multi_hot(self, given: Sequence[float]) -> tuple[float, ...]:
        if len(given) != self.num_classes:
            raise WrongLabel(
                "Mismatch between number of labels in the multi-label data "
                f"({len(given)}) and the num_classes parameter ({self.num_classes}): give a 0 or "
                "1 for each class, or add ;label-format=class-id to the content type"
            )
        for number in given:
            if number not in (0, 1):
                raise WrongLabel(
                    f"its labels have {number:g} where a 0 or 1 belongs: for numbers of classes "
                    "add ;label-format=class-id to the content type"
                )
        return tuple(float(number) for number in given)


def is_one(text: bytes) -> bool:
    """Whether the bytes are a label of a manifest."""
    try:
        of_json(text)
    except WrongLabel:
        return False
    return True


def of_json(text: bytes) -> tuple[float, ...]:
    """The numbers of a manifest's label: `1`, `"1"`, `[0, 1]` or `"[0, 1]"`; raises WrongLabel."""
    value: Any = text
    for _ in range(2):  # A list may be in a text.
        if isinstance(value, str | bytes):
            try:
                value = json.loads(value)
            except ValueError:
                break
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(n, int | float) for n in numbers):
        shown = text.decode(errors="replace")[:60]
        raise WrongLabel(f"its label is {shown!r}; a number or a list of numbers is needed")
    return tuple(float(number) for number in numbers)

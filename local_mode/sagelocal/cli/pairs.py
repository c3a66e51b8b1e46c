"""Options that are given as `NAME=VALUE`, any number of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def pair_option(flag: str, name: str, metavar: str, text: str) -> Callable[[F], F]:
    """An option whose values become a dictionary, in the order in which they were given."""
    return click.option(flag, name, multiple=True, callback=_pairs, metavar=metavar, help=text)


def _pairs(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> Any:
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice")
        found[name] = value
    return found

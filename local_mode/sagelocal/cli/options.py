"""Flags that several commands share, and the flags of `up`, made from the settings' own fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from sagelocal.cli.plane_process import default_data_dir
from sagelocal.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default="$SAGELOCAL_DATA, else sagelocal in the user's data folder",
    help="folder that holds everything the plane remembers",
)


def settings_options(command: F) -> F:
    """One option per field of Settings, or its SAGELOCAL_ variable; `--data` for the folder."""
    hints = typing.get_type_hints(Settings)
    for field in reversed(dataclasses.fields(Settings)):
        if field.name != "data_dir":
            command = _option(field, hints[field.name])(command)
    return data_option(command)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings that a command's flags say. Raises UsageError for what cannot be."""
    try:
        return Settings(**values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def settings_arguments(settings: Settings) -> list[str]:
    """The command line that gives these settings again."""
    arguments = ["--data", str(settings.data_dir)]
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        if field.name != "data_dir" and value != field.default:
            arguments += [_flag(field.name), str(value)]
    return arguments


def _option(field: dataclasses.Field[Any], hint: Any) -> Callable[[F], F]:
    return click.option(
        _flag(field.name),
        field.name,
        type=_click_type(hint),
        default=field.default,
        show_default=field.default is not None,
        envvar=f"SAGELOCAL_{field.name.upper()}",
        help=field.metadata["help"],
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _click_type(hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        return click.Choice(typing.get_args(hint))
    if typing.get_origin(hint) is types.UnionType:
        return _click_type(next(a for a in typing.get_args(hint) if a is not type(None)))
    return click.Path(path_type=Path) if hint is Path else hint

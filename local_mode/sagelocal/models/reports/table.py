"""A model at a terminal: what it is, its parameters, its network."""

from __future__ import annotations

import json
import math
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from sagelocal.models.model import Model, Unread
from sagelocal.models.networks import Network, attribute_text, shape_text
from sagelocal.models.source import Files
from sagelocal.models.statistics import statistics

_MOST_ARRAYS = 60
_MOST_OPERATORS = 60


def table(model: Model, files: Files, *, everything: bool = False) -> str:
    """The text, with a terminal's colours, which `click.echo` takes off elsewhere."""
    return "\n".join(_lines(model, files, everything)) + "\n"


def _lines(model: Model, files: Files, everything: bool) -> Iterator[str]:
    columns = shutil.get_terminal_size((100, 24)).columns
    yield click.style(_capital(model.says), bold=True) + f", by {model.because}"
    yield f"image      {model.family or 'none here'}"
    yield f"files      {', '.join(_file(files, path) for path in (*files.paths, *files.code)[:12])}"
    for head, values in (("Facts", model.facts), ("Hyperparameters", model.hyperparameters)):
        if values:
            yield ""
            yield click.style(head, bold=True)
            yield from _pairs(values, columns)
    if model.arrays:
        yield ""
        yield from _arrays(model, None if everything else _MOST_ARRAYS)
    if model.network is not None:
        yield ""
        yield from network_lines(model.network, None if everything else _MOST_OPERATORS)
    for note in model.notes:
        yield ""
        yield textwrap.fill(f"note: {note}", columns)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _file(files: Files, path: Any) -> str:
    return f"{path.as_posix()} ({size_text(files.at(path).stat().st_size)})"


def _pairs(values: Mapping[str, Any], columns: int) -> Iterator[str]:
    width = max(len(str(name)) for name in values)
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        shown = textwrap.shorten(text, max(30, columns - width - 4), placeholder=" ...")
        yield f"  {name:<{width}}  {shown}"


def _arrays(model: Model, most: int | None) -> Iterator[str]:
    total = sum(math.prod(array.shape) for array in model.arrays.values())
    size = sum(a.size_bytes if isinstance(a, Unread) else a.nbytes for a in model.arrays.values())
    yield click.style("Parameters", bold=True) + (
        f"  {len(model.arrays)} arrays, {total:,} numbers, {size_text(size)}"
    )
    heads = ("name", "shape", "type", "numbers", "min", "max", "mean", "std", "zeros")
    rows = [heads, *(_row(name, array) for name, array in list(model.arrays.items())[:most])]
    yield from columns_of(rows, left=3)
    if most is not None and len(model.arrays) > most:
        yield f"  ... and {len(model.arrays) - most} more; --all shows them, --json too"


def _row(name: str, array: Any) -> tuple[str, ...]:
    shape = " x ".join(map(str, array.shape)) or "scalar"
    count = f"{math.prod(array.shape):,}"
    found = statistics(array)
    if found is None:
        reason = array.reason if isinstance(array, Unread) else ""
        return (name, shape, str(array.dtype), count, reason)
    numbers = (found.minimum, found.maximum, found.mean, found.deviation)
    odd = f" ({found.not_finite} not finite)" if found.not_finite else ""
    texts = ["" if number is None else f"{number:.4g}" for number in numbers]
    return (name, shape, str(array.dtype), count, *texts, f"{found.zeros:,}{odd}")


def network_lines(network: Network, most: int | None = None) -> Iterator[str]:
    """The network as rows: a layer, what goes into it, what comes out."""
    parameters = sum(len(each.parameters) for each in network.operators)
    yield click.style("Network", bold=True) + (
        f"  {len(network.operators)} operators, {parameters} arrays of parameters"
    )
    rows: list[tuple[str, ...]] = [("layer", "operator", "from", "output", "settings")]
    rows += [(name, "input", "", shape_text(shape), "") for name, shape in network.inputs.items()]
    for each in network.operators[:most]:
        mark = " (output)" if each.name in network.outputs else ""
        settings = " ".join(f"{k}={attribute_text(v)}" for k, v in each.settings.items())
        rows.append(
            (
                each.name + mark,
                each.op,
                ", ".join(each.inputs),
                shape_text(each.shape),
                attribute_text(settings),
            )
        )
    yield from columns_of(rows, left=5)
    if most is not None and len(network.operators) > most:
        yield f"  ... and {len(network.operators) - most} more; --all shows them, --svg draws them"


def columns_of(rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Rows as columns; the first `left` are flush left, the others right."""
    count = max(map(len, rows))
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
    for row in rows:
        cells = [
            f"{cell:<{widths[place]}}" if place < left else f"{cell:>{widths[place]}}"
            for place, cell in enumerate(row)
        ]
        yield "  " + "  ".join(cells).rstrip()


def size_text(size_bytes: int) -> str:
    """As "1.2 MB"."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

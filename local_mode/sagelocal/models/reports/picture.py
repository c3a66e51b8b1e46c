"""A network as an SVG picture, from the inputs at the top to the outputs at the bottom.

Each operator stands one row below the lowest of its inputs. Within a row the order follows the
places of what they come from (the barycentre of Sugiyama's layered drawing), twice down and up.
Lines that pass rows are led through places of their own, so that they cross no box. Where graphviz
is installed its `dot` draws the same graph instead.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from sagelocal.models.errors import ModelError
from sagelocal.models.networks import Network, Operator, attribute_text, shape_text

_ROW, _GAP, _MARGIN = 46, 26, 24
_LETTER = 6.6
_LINE = 15
_SWEEPS = 4
_MOST_LETTERS = 56
_MOST_SETTINGS = 3
_DOT_SECONDS = 60
# Settings that say what a layer does, before others.
_TELLING = (
    "num_filter",
    "kernel",
    "stride",
    "ksize",
    "strides",
    "padding",
    "num_hidden",
    "act_type",
    "pool_type",
    "axis",
    "scalar",
)
_COLOURS: Mapping[str, str] = {
    "input": "#dfe7f5",
    "weights": "#fbe3c8",
    "norm": "#e4f1dc",
    "shape": "#eeeeee",
    "pool": "#d8eef0",
    "output": "#f6d9de",
    "other": "#f4f1fb",
}
_KINDS = {
    "norm": ("batchnorm", "layernorm", "instancenorm", "groupnorm", "l2norm", "lrn"),
    "pool": ("pool",),
    "shape": ("flatten", "reshape", "transpose", "concat", "expand_dims", "slice", "cast", "copy"),
}


@dataclass
class _Box:
    """A box, or (without lines) the place of a line that passes this row."""

    name: str
    row: int
    lines: tuple[str, ...] = ()
    kind: str = "other"
    above: list[_Box] = field(default_factory=list)
    below: list[_Box] = field(default_factory=list)
    x: float = 0.0
    height: float = 0.0

    @property
    def width(self) -> float:
        return max((len(line) for line in self.lines), default=0) * _LETTER + (
            18 if self.lines else 8
        )

    def __post_init__(self) -> None:
        self.height = len(self.lines) * _LINE + 10 if self.lines else 0


def svg(network: Network, title: str) -> str:
    """The picture. Raises ModelError if graphviz is there and fails."""
    dot = shutil.which("dot")
    return _drawn_by(dot, network, title) if dot else layered_svg(network, title)


def layered_svg(network: Network, title: str) -> str:
    """The picture without graphviz."""
    rows = _rows(network)
    _order(rows)
    heights = [max((box.height for box in row), default=0) for row in rows]
    tops = [_MARGIN + _LINE + 8 + sum(heights[:n]) + n * _ROW for n in range(len(rows))]
    _place(rows)
    boxes = [box for row in rows for box in row]
    left = min((box.x - box.width / 2 for box in boxes), default=0) - _MARGIN
    right = max((box.x + box.width / 2 for box in boxes), default=0) + _MARGIN
    width = max(right - left, len(title) * _LETTER * 1.2 + 2 * _MARGIN)
    height = (tops[-1] + heights[-1] if rows else _MARGIN) + _MARGIN
    for box in boxes:
        # A line that passes goes straight through its row and bends between rows only.
        box.height = box.height or heights[box.row]
    middles = [top + height / 2 for top, height in zip(tops, heights, strict=True)]
    parts = [_line(box, child, middles, left) for box in boxes for child in box.below]
    parts += [_box(box, middles[box.row], left) for box in boxes if box.lines]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="11">\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{_MARGIN}" y="{_MARGIN}" font-size="13" font-weight="bold">{escape(title)}'
        f"</text>\n{''.join(parts)}</svg>\n"
    )


# --- what stands where -------------------------------------------------------------------------


def _rows(network: Network) -> list[list[_Box]]:
    boxes = {
        name: _Box(name, 0, (name, shape_text(shape)), "input")
        for name, shape in network.inputs.items()
    }
    for operator in network.operators:
        sources = [boxes[name] for name in dict.fromkeys(operator.inputs) if name in boxes]
        row = max((source.row for source in sources), default=-1) + 1
        is_output = operator.name in network.outputs
        box = _Box(operator.name, row, _words(operator), _kind(operator, is_output))
        boxes[operator.name] = box
    rows: list[list[_Box]] = [
        [] for _ in range(max((b.row for b in boxes.values()), default=-1) + 1)
    ]
    for box in boxes.values():
        rows[box.row].append(box)
    for operator in network.operators:
        for name in dict.fromkeys(operator.inputs):
            if name in boxes:
                _connect(boxes[name], boxes[operator.name], rows)
    return rows


def _connect(above: _Box, below: _Box, rows: list[list[_Box]]) -> None:
    """A line, by way of a place in each row between."""
    for row in range(above.row + 1, below.row):
        passing = _Box("", row)
        rows[row].append(passing)
        above.below.append(passing)
        passing.above.append(above)
        above = passing
    above.below.append(below)
    below.above.append(above)


def _order(rows: list[list[_Box]]) -> None:
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else reversed(rows[:-1]):
            others = rows[row[0].row - 1] if down else rows[row[0].row + 1]
            places = {id(box): place for place, box in enumerate(others)}
            row.sort(key=lambda box: _barycentre(box.above if down else box.below, places))


def _barycentre(neighbours: Sequence[_Box], places: Mapping[int, int]) -> float:
    found = [places[id(box)] for box in neighbours if id(box) in places]
    return sum(found) / len(found) if found else 0.0


def _place(rows: list[list[_Box]]) -> None:
    """Each box as near below its inputs as its neighbours in the row allow."""
    for row in rows:
        x = 0.0
        for box in row:
            box.x = x + box.width / 2
            x += box.width + _GAP
        shift = (x - _GAP) / 2
        for box in row:
            box.x -= shift
    for sweep in range(2 * _SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = [_mean(box.above if down else box.below, box.x) for box in row]
            _settle(row, wanted)


def _mean(neighbours: Sequence[_Box], default: float) -> float:
    return sum(box.x for box in neighbours) / len(neighbours) if neighbours else default


def _settle(row: list[_Box], wanted: Sequence[float]) -> None:
    """The places nearest to the wanted ones that keep order and gaps: pooled neighbours."""
    blocks: list[list[float]] = []  # [sum of wanted minus offset, boxes, width up to here]
    offsets, offset = [], 0.0
    for place, box in enumerate(row):
        if place:
            offset += row[place - 1].width / 2 + _GAP + box.width / 2
        offsets.append(offset)
        blocks.append([wanted[place] - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    place = 0
    for total, count in blocks:
        for _ in range(int(count)):
            row[place].x = total / count + offsets[place]
            place += 1


# --- words and lines ---------------------------------------------------------------------------


def _words(operator: Operator) -> tuple[str, ...]:
    told = [name for name in _TELLING if name in operator.settings]
    settings = " ".join(f"{name}={operator.settings[name]}" for name in told[:_MOST_SETTINGS])
    weights = ", ".join(
        f"{_short(name, operator.name)} {shape_text(shape)}"
        for name, shape in list(operator.parameters.items())[:2]
    )
    shape = "" if operator.shape is None else f"-> {shape_text(operator.shape)}"
    lines = (operator.name, f"{operator.op} {settings}".strip(), weights, shape)
    return tuple(attribute_text(line, _MOST_LETTERS) for line in lines if line)


def _short(name: str, layer: str) -> str:
    """A parameter's name without what it shares with its layer's."""
    pairs = enumerate(zip(name, layer, strict=False))
    shared = next((place for place, (mine, its) in pairs if mine != its), len(layer))
    return name[name.rfind("_", 0, shared) + 1 :] or name


def _kind(operator: Operator, is_output: bool) -> str:
    if is_output:
        return "output"
    name = operator.op.lower()
    for kind, words in _KINDS.items():
        if any(word in name for word in words):
            return kind
    return "weights" if operator.parameters else "other"


def _box(box: _Box, middle: float, left: float) -> str:
    x, top = box.x - box.width / 2 - left, middle - box.height / 2
    parts = [
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
        f'fill="{_COLOURS[box.kind]}" stroke="#555555"/>\n'
    ]
    for place, line in enumerate(box.lines):
        bold = ' font-weight="bold"' if place == 0 else ""
        parts.append(
            f'<text x="{box.x - left:.1f}" y="{top + 5 + 11 + place * _LINE:.1f}" '
            f'text-anchor="middle"{bold}>{escape(line)}</text>\n'
        )
    return "".join(parts)


def _line(above: _Box, below: _Box, middles: Sequence[float], left: float) -> str:
    x1, y1 = above.x - left, middles[above.row] + above.height / 2
    x2, y2 = below.x - left, middles[below.row] - below.height / 2
    bend = (y2 - y1) / 2
    path = (
        f'<path d="M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + bend:.1f} {x2:.1f},{y2 - bend:.1f} '
        f'{x2:.1f},{y2:.1f}" fill="none" stroke="#777777"/>\n'
    )
    if not below.lines:
        y3 = y2 + below.height
        return path + f'<path d="M{x2:.1f},{y2:.1f} V{y3:.1f}" stroke="#777777"/>\n'
    head = f"{x2:.1f},{y2:.1f} {x2 - 4:.1f},{y2 - 7:.1f} {x2 + 4:.1f},{y2 - 7:.1f}"
    return path + f'<polygon points="{head}" fill="#777777"/>\n'


# --- graphviz ----------------------------------------------------------------------------------


def as_dot(network: Network, title: str) -> str:
    """The graph in graphviz' language."""
    lines = [
        f"digraph {{ label={_quoted(title)}; labelloc=t; fontname=sans; fontsize=13",
        "node [shape=box style=filled fontname=sans fontsize=11]; edge [color=gray40]",
    ]
    for name, shape in network.inputs.items():
        words = _quoted(f"{name}\n{shape_text(shape)}")
        lines.append(f'{_quoted(name)} [label={words} fillcolor="{_COLOURS["input"]}"]')
    for operator in network.operators:
        colour = _COLOURS[_kind(operator, operator.name in network.outputs)]
        words = _quoted("\n".join(_words(operator)))
        lines.append(f'{_quoted(operator.name)} [label={words} fillcolor="{colour}"]')
        lines += [f"{_quoted(name)} -> {_quoted(operator.name)}" for name in operator.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _drawn_by(dot: str, network: Network, title: str) -> str:
    try:
        done = subprocess.run(
            [dot, "-Tsvg"],
            input=as_dot(network, title),
            capture_output=True,
            text=True,
            timeout=_DOT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return layered_svg(network, title)
    if done.returncode:
        raise ModelError(f"graphviz could not draw the network: {done.stderr.strip()[:300]}")
    return done.stdout

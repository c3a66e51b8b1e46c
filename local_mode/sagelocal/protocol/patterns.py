"""The patterns of AWS's models, which are Java's, tried with Python's `re`.

Java matches the whole value, knows Unicode classes (`\\p{L}`) and writes a few things that Python
refuses. A pattern that cannot be said in Python constrains nothing here.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What Java's classes hold, as it is written inside a character class. \p{L} and \p{N} are \w and
# \d; the underscore that \w adds is allowed by every pattern that names \p{L}.
_CLASSES = {
    "L": r"\w",
    "M": r"\u0300-\u036f\u0483-\u0489\u20d0-\u20f0\ufe00-\ufe0f",
    "N": r"\d",
    "Z": r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    "S": r"$+<=>^`|~\u00a2-\u00a9\u00ac-\u00b4\u00b8\u00d7\u00f7\u20a0-\u20bf\u2190-\u2bff"
    r"\U0001f000-\U0001faff",
    "P": r"!-#%-*,-/:;?@\[-\]_{}\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u205e"
    r"\u3001-\u303f",
    "Alnum": "a-zA-Z0-9",
    "ASCII": r"\x00-\x7f",
    "Print": r"\x20-\x7e",
}
_CLASS = re.compile(r"\\p\{(?P<name>\w+)\}")

# Java's spelling and Python's: the end of input, a range of surrogates, a dash after a class, an
# anchor that is repeated.
_SPELLINGS = (
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE), "\U00010000-\U0010ffff"),
    (re.compile(r"\\w-(?=[^\]])"), r"\\w\\-"),
    (re.compile(r"\$(?=\{\d)"), ""),
)


def matches(pattern: str, value: str) -> bool:
    """Whether the whole value fits a pattern of a service model."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def is_known(pattern: str) -> bool:
    """Whether Python can say it; if not, every value passes."""
    return _compiled(pattern) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    for java, python in _SPELLINGS:
        pattern = java.sub(python, pattern)
    try:
        return re.compile(_without_classes(pattern))
    except re.error:
        return None


def _without_classes(pattern: str) -> str:
    """Replace `\\p{L}` and its like, whether they stand in brackets or alone."""
    pieces: list[str] = []
    position = 0
    for found in _CLASS.finditer(pattern):
        ranges = _CLASSES.get(found["name"], r"\w")
        bracketed = _is_inside_brackets(pattern[: found.start()])
        pieces += [pattern[position : found.start()], ranges if bracketed else f"[{ranges}]"]
        position = found.end()
    return "".join([*pieces, pattern[position:]])


def _is_inside_brackets(before: str) -> bool:
    plain = re.sub(r"\\.", "", before)
    return plain.rfind("[") > plain.rfind("]")

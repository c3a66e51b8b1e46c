"""The ids of versions: made up, and told from what never was one.

S3 answers an id of another form by InvalidArgument and one of a version that is gone by
NoSuchVersion, so an id has to say that it is one: its last characters follow from the others.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

NULL_VERSION = "null"
"""The version of what was written while its bucket kept none."""

_RANDOM_BYTES = 18
_CHECK_BYTES = 6
_RANDOM_CHARACTERS = 24


def new_version_id() -> str:
    """32 characters that no other version has; none is a hyphen, which a command would misread."""
    text = _text(secrets.token_bytes(_RANDOM_BYTES))
    return text + _check(text)


def is_version_id(text: str) -> bool:
    """Whether some version has, or had, this id."""
    made_up, check = text[:_RANDOM_CHARACTERS], text[_RANDOM_CHARACTERS:]
    return text == NULL_VERSION or check == _check(made_up)


def _check(text: str) -> str:
    return _text(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_CHECK_BYTES])


def _text(data: bytes) -> str:
    return base64.b64encode(data, altchars=b"._").decode()

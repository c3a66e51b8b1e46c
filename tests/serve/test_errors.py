"""What callers are told of a failure, and what they are not."""

from __future__ import annotations

import json

import pytest
from sagelocal_serve.errors import MESSAGE_LIMIT, describe, error_body


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (ValueError("bad value"), "ValueError: bad value"),
        (ValueError(), "ValueError"),
        (KeyError("age"), "KeyError: 'age'"),
        (ValueError("first\nTraceback (most recent call last)"), "ValueError: first"),
        (
            FileNotFoundError(2, "No such file or directory", "/opt/ml/model/weights.npy"),
            "FileNotFoundError: [Errno 2] No such file or directory: 'weights.npy'",
        ),
        (ValueError("C:\\models\\a.bin is bad"), "ValueError: a.bin is bad"),
        (ValueError("text/csv at 5 km/h"), "ValueError: text/csv at 5 km/h"),
        (ValueError("see https://example.com/a/b"), "ValueError: see https://example.com/a/b"),
    ],
)
def test_description_is_one_line_without_folders(error: Exception, described: str) -> None:
    assert describe(error) == described


def test_description_has_a_limit() -> None:
    assert len(describe(ValueError("x" * 10_000))) == MESSAGE_LIMIT


def test_body_is_one_line_of_json() -> None:
    body = error_body(415, "UnsupportedMediaTypeException", 'no "x"\n<b>')
    assert body.count(b"\n") == 1
    assert json.loads(body) == {
        "code": 415,
        "type": "UnsupportedMediaTypeException",
        "message": 'no "x"\n<b>',
    }

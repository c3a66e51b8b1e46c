"""Headers as a mapping over a WSGI environment."""

from __future__ import annotations

import pytest
from sagelocal_serve.incoming import Headers

ENVIRON = {
    "REQUEST_METHOD": "POST",
    "CONTENT_TYPE": "text/csv",
    "CONTENT_LENGTH": "",
    "HTTP_ACCEPT": "*/*",
    "HTTP_X_EMPTY": "",
    "HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID": "42",
}


def test_headers_are_found_by_their_lower_case_names() -> None:
    headers = Headers(ENVIRON)
    assert headers["x-amzn-sagemaker-inference-id"] == "42"
    assert headers["content-type"] == "text/csv"
    assert headers["x-empty"] == ""


@pytest.mark.parametrize("name", ["content-length", "request-method", "x-unknown"])
def test_header_that_was_not_sent_is_not_there(name: str) -> None:
    headers = Headers(ENVIRON)
    assert name not in headers
    assert headers.get(name) is None
    with pytest.raises(KeyError):
        headers[name]


def test_what_is_listed_is_what_is_there() -> None:
    headers = Headers(ENVIRON)
    assert dict(headers) == {
        "content-type": "text/csv",
        "accept": "*/*",
        "x-empty": "",
        "x-amzn-sagemaker-inference-id": "42",
    }
    assert len(headers) == 4

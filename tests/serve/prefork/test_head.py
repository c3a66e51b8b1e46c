"""What an application finds in its environment."""

from __future__ import annotations

from sagelocal_serve.prefork.head import read_head


def test_head_becomes_a_wsgi_environment() -> None:
    head = read_head(
        b"POST /models/a%20b%C3%A4/invoke?x=1&y=%20 HTTP/1.1\r\nHost: example:8080\r\n"
        b"Content-Type: text/csv; label_size=0\r\nContent-Length: 12\r\n"
        b"X-Amzn-SageMaker-Custom-Attributes: c000b4f9\r\nAccept: text/csv\r\n"
        b"Accept: application/json\r\n\r\n"
    )
    assert head.environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/models/a bä/invoke".encode().decode("latin-1"),
        "QUERY_STRING": "x=1&y=%20",
        "RAW_URI": "/models/a%20b%C3%A4/invoke?x=1&y=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example:8080",
        "CONTENT_TYPE": "text/csv; label_size=0",
        "CONTENT_LENGTH": "12",
        "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "c000b4f9",
        "HTTP_ACCEPT": "text/csv,application/json",
    }
    assert (head.content_length, head.is_chunked) == (12, False)


def test_connection_goes_on_as_the_version_and_the_header_say() -> None:
    def keeps_alive(version: bytes, header: bytes) -> bool:
        return read_head(b"GET / HTTP/%b\r\n%b\r\n" % (version, header)).keeps_alive

    assert keeps_alive(b"1.1", b"")
    assert not keeps_alive(b"1.1", b"Connection: close\r\n")
    assert not keeps_alive(b"1.0", b"")
    assert keeps_alive(b"1.0", b"Connection: keep-alive\r\n")


def test_header_with_an_underscore_is_dropped() -> None:
    """Otherwise `X_Amzn_...` could pass for the header that a proxy in front has checked."""
    head = read_head(b"GET / HTTP/1.1\r\nContent_Length: 5\r\nX_Y: 1\r\n\r\n")
    assert not [key for key in head.environ if key.startswith(("CONTENT", "HTTP"))]

"""One request and its answer on a connection between the front and a model's process.

    hello      u32 process id                                     once, by the model
    message    u32 length of head, u64 length of body, head, body
    stream     a message without body, then pieces: u32 length, bytes; a length of 0 ends it

Little-endian; heads are JSON. Both ends are this package on one machine, and whoever can open the
socket's folder is the same user: nothing is checked twice. A connection takes one request after
another; one that ends before its time means that the process has ended.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

from sagelocal_serve.interface import Request, Response
from sagelocal_serve.media_type import Accept, MediaType

_HELLO = struct.Struct("<I")
_SIZES = struct.Struct("<IQ")
_PIECE = struct.Struct("<I")
_LARGEST_PIECE = 1 << 20


class Ended(Exception):
    """The other side has closed the connection."""


def send_hello(connection: socket.socket, process_id: int) -> None:
    connection.sendall(_HELLO.pack(process_id))


def receive_hello(connection: socket.socket) -> int:
    """The process that took the connection. Raises Ended."""
    (process_id,) = _HELLO.unpack(_read(connection, _HELLO.size))
    return int(process_id)


def send_request(connection: socket.socket, request: Request) -> None:
    head = {
        "content_type": str(request.content_type),
        "accept": str(request.accept),
        "custom_attributes": request.custom_attributes,
        "headers": dict(request.headers),
    }
    _send(connection, head, request.body)


def receive_request(connection: socket.socket) -> Request:
    """Raises Ended."""
    head, body = _receive(connection)
    return Request(
        body,
        MediaType.parse(head["content_type"]),
        Accept.parse(head["accept"]),
        head["custom_attributes"],
        head["headers"],
    )


def send_response(connection: socket.socket, response: Response) -> None:
    """All of it, streams to their end; what a stream raises passes through."""
    is_whole = isinstance(response.body, bytes)
    head = {
        "status": response.status,
        "content_type": str(response.content_type),
        "custom_attributes": response.custom_attributes,
        "streamed": not is_whole,
    }
    if isinstance(response.body, bytes):
        _send(connection, head, response.body)
        return
    _send(connection, head, b"")
    for chunk in response.body:
        for start in range(0, len(chunk), _LARGEST_PIECE):
            piece = chunk[start : start + _LARGEST_PIECE]
            connection.sendall(_PIECE.pack(len(piece)) + piece)
    connection.sendall(_PIECE.pack(0))


def receive_response(connection: socket.socket) -> tuple[Response, bool]:
    """The answer, and whether its body is still to be read, by `receive_pieces`. Raises Ended."""
    head, body = _receive(connection)
    response = Response(
        body, MediaType.parse(head["content_type"]), head["custom_attributes"], head["status"]
    )
    return response, head["streamed"]


def receive_pieces(connection: socket.socket) -> Iterator[bytes]:
    """The body of a streamed answer. Raises Ended where it breaks off."""
    while True:
        (size,) = _PIECE.unpack(_read(connection, _PIECE.size))
        if not size:
            return
        yield _read(connection, size)


def _send(connection: socket.socket, head: dict[str, Any], body: bytes) -> None:
    packed = json.dumps(head).encode()
    start = _SIZES.pack(len(packed), len(body)) + packed
    if len(body) < _LARGEST_PIECE:
        connection.sendall(start + body)
    else:
        connection.sendall(start)
        connection.sendall(body)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    head_size, body_size = _SIZES.unpack(_read(connection, _SIZES.size))
    head: dict[str, Any] = json.loads(_read(connection, head_size))
    return head, _read(connection, body_size)


def _read(connection: socket.socket, size: int) -> bytes:
    first = connection.recv(min(size, _LARGEST_PIECE)) if size else b""
    if len(first) == size:
        return first
    if not first:
        raise Ended
    buffer = bytearray(size)
    buffer[: len(first)] = first
    view, filled = memoryview(buffer), len(first)
    while filled < size:
        count = connection.recv_into(view[filled:])
        if not count:
            raise Ended
        filled += count
    return bytes(buffer)

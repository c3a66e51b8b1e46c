"""What callers may send: bodies that were once valid, headers by their grammar, and worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.serve.fuzz.wire import Message

Draw = st.DrawFn

# Some bodies are this large: more than one server takes, and enough for the others to be slow ways.
LARGE_BYTES = 150_000

# What parsers of numbers, texts and sizes trip over.
TOKENS = [
    *(b"nan", b"inf", b"-inf", b"-0", b"1e999", b"1e-999", b"1_0", b"0x10", b"1" * 400, b"9" * 20),
    *(b"null", b"true", b'""', b'"a"', b"{}", b"[]", b"[[]]", b"[" * 300, b"\\u0000", b"\\ud800"),
    *("٣".encode(), "\N{BOM}".encode(), b"\x00", b"\xff", b"\r", b"\n\n", b",", b",,", b'"', b"#"),
    *(
        b":",
        b"-1:1",
        b"4294967296:1",
        b"99999999999999999999:1",
        b"qid:1",
        b"\xff\xff\xff\x7f",
        b"a" * 300,
    ),
]
CHARSETS = ["utf-8", "UTF-8", '"utf-8"', "latin-1", "utf-16", "us-ascii", "utf-7", "rot13", "idna"]
ACCEPTED = ["*/*", "application/json", "text/csv", "application/jsonlines", ""]
SPELLED = ["text/csv", "application/json", "application/jsonlines", "application/x-npy"]
SPELLED += ["application/csv", "text/x-libsvm", "application/x-ndjson", "*/*", "text/*", "a/b"]

# A value may hold anything but control characters (RFC 9110, 5.5).
_CONTROL = bytes({*range(32), 127} - {9})
VALUES = st.binary(max_size=60).map(lambda raw: raw.translate(None, _CONTROL))
TOKEN = st.text("abcz019!#$%&'*+.^_`|~-", min_size=1, max_size=12).map(str.encode)


@st.composite
def mutated(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after a few accidents."""
    body = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 4]))):
        start = draw(st.integers(0, len(body)))
        match draw(st.integers(0, 6)):
            case 0 if body:
                body[start % len(body)] = draw(st.integers(0, 255))
            case 1:
                body[start:start] = draw(st.sampled_from(TOKENS))
            case 2:
                end = start + draw(st.integers(0, 12))
                body[start:end] = draw(st.sampled_from(TOKENS))
            case 3:
                del body[start : start + draw(st.integers(1, 20))]
            case 4:
                del body[start:]
            case 5:
                body[start:start] = body[start : start + draw(st.integers(1, 40))]
            case _:
                body[start:start] = draw(st.binary(max_size=12))
    return bytes(body)


@st.composite
def media_types(draw: Draw, known: Sequence[str]) -> bytes:
    """A media type, mostly one that is known, with parameters as the grammar has them or nearly."""
    kind = draw(st.sampled_from([*known, *known, *SPELLED]))
    if draw(st.booleans()):
        kind = draw(
            st.sampled_from([kind.upper(), kind.title(), f" {kind}\t", kind[:-1], f"{kind}/x"])
        )
    parameters = st.one_of(
        st.sampled_from(CHARSETS).map(lambda charset: f"charset={charset}".encode()),
        st.sampled_from([b"q=0", b"q=1", b"q=0.5", b"q=2", b"q=", b"q=nan", b"header=present"]),
        st.tuples(TOKEN, TOKEN).map(b"=".join),
        st.sampled_from([b"", b"=", b'a="', b'a="\\"', b'a="b;c,d"', b"a b=c", b" ; "]),
    )
    found = [kind.encode(), *draw(st.lists(parameters, max_size=3))]
    return draw(st.sampled_from([b";", b"; ", b" ;"])).join(found)


def header_values(known: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Values of Content-Type and Accept."""
    types = media_types(known)
    lists = st.lists(types, max_size=4).map(b", ".join)
    return st.one_of(types, lists, VALUES, st.sampled_from([b"", b",", b";", b"/", b"*", b"text/"]))


@st.composite
def headers(draw: Draw, known: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Headers that a caller may add, well-formed as HTTP whatever they say."""
    prefix = b"X-Amzn-SageMaker-"
    names = st.one_of(
        st.sampled_from([b"Accept", b"accept", b"ACCEPT-CHARSET", b"Accept-Encoding"]),
        st.sampled_from([b"Content-Encoding", b"Range", b"If-Match", b"Cookie", b"Authorization"]),
        st.sampled_from([b"X-Forwarded-Proto", b"Forwarded", b"Upgrade", b"TE", b"Trailer"]),
        st.sampled_from([b"Custom-Attributes", b"Accept", b"Target-Model"]).map(prefix.__add__),
        TOKEN,
    )
    values = st.one_of(
        header_values(known), VALUES, st.integers(0, 3000).map(lambda size: b"x" * size)
    )
    return draw(st.lists(st.tuples(names, values), max_size=5))


@st.composite
def invocations(draw: Draw, seeds: Mapping[str, Sequence[bytes]], paths: Sequence[str]) -> Message:
    """A request whose body was once what its Content-Type says, or is something else."""
    declared = draw(st.sampled_from(sorted(seeds)))
    sent_as = declared if draw(st.integers(0, 3)) else draw(st.sampled_from(sorted(seeds)))
    accept = draw(st.sampled_from([*seeds, *ACCEPTED, *ACCEPTED]))
    body = draw(mutated(seeds[declared]))
    if body and draw(st.integers(0, 19)) == 0:
        body *= LARGE_BYTES // len(body)
    return Message(
        target=draw(st.sampled_from(paths)).encode(),
        headers=[
            (b"Host", b"x"),
            (b"Content-Type", sent_as.encode()),
            *([(b"Accept", accept.encode())] if accept else []),
        ],
        body=body,
        chunks=draw(st.none() | st.lists(st.integers(1, 50), max_size=3)),
    )


@st.composite
def decorated(draw: Draw, seeds: Mapping[str, Sequence[bytes]], paths: Sequence[str]) -> Message:
    """A request whose headers, method and path are anything that HTTP allows."""
    known = sorted(seeds)
    kind = draw(st.sampled_from(known))
    methods = [b"POST", b"POST", b"POST", b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"]
    targets = st.one_of(
        st.sampled_from([*paths, *paths, "/ping", "/execution-parameters"]).map(str.encode),
        st.text("/.%aF0?&=~", max_size=12).map(lambda text: b"/" + text.encode()),
        st.sampled_from(
            [b"/invocations/", b"//invocations", b"/invocations?a=b", b"/%00", b"/%ff"]
        ),
        st.sampled_from([b"/../etc/passwd", b"/models", b"/models/x", b"*", b"http://y/ping"]),
    )
    types = draw(st.lists(header_values(known), max_size=2)) or [kind.encode()]
    return Message(
        method=draw(st.sampled_from(methods)),
        target=draw(targets),
        headers=[
            (b"Host", b"x"),
            *((b"Content-Type", value) for value in types),
            *draw(headers(known)),
        ],
        body=draw(mutated(seeds[kind])),
        chunks=draw(st.none() | st.just(())),
    )


@st.composite
def junk(draw: Draw, seeds: Mapping[str, Sequence[bytes]]) -> bytes:
    """What is no HTTP, or barely: torn framing, lengths that lie, bytes from nowhere."""
    kind = draw(st.sampled_from(sorted(seeds)))
    body = draw(st.sampled_from(seeds[kind]))[:200]
    framing = st.one_of(
        st.sampled_from([b"+5", b"-1", b"5, 5", b"0x5", b"", b"5 5", b"9" * 30, b"1e3"]).map(
            lambda length: b"Content-Length: " + length
        ),
        st.integers(0, 400).map(lambda length: b"Content-Length: %d" % length),
        st.sampled_from(
            [b"chunked", b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"", b"x"]
        ).map(lambda coding: b"Transfer-Encoding: " + coding),
        st.sampled_from([b"Expect: 100-continue", b"Connection: close", b"Connection: Upgrade"]),
        st.sampled_from([b"no colon", b": no name", b" folded", b"a b: c", b"N\xc3\xa4me: x"]),
        st.sampled_from([b"X: \x00", b"X: \x7f\x80", b"X: " + b"y" * 9000, b"X_Y: z", b"X-Y: z"]),
    )
    pieces = st.one_of(
        st.sampled_from(
            [b"5\r\nhello\r\n", b"5;a=b\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nT: x\r\n\r\n"]
        ),
        st.sampled_from(
            [b"g\r\n", b"-5\r\nhello\r\n", b"5\r\nhell\r\n", b"F" * 20 + b"\r\n", b"5\n"]
        ),
        st.sampled_from(
            [b"\r\n\r\n", b"\n\n", b"GET /ping HTTP/1.1\r\n\r\n", b"\x16\x03\x01", body]
        ),
        st.binary(max_size=30),
    )
    line = draw(
        st.sampled_from(
            [
                *(b"POST /invocations HTTP/1.1",) * 4,
                *(b"GET /ping HTTP/1.0", b"POST /invocations", b"POST  /x  HTTP/1.1", b"\r\n"),
                *(b"post /invocations http/1.1", b"POST /invocations HTTP/9.9", b"\x00", b"PRI * "),
                *(b"POST /%s HTTP/1.1" % (b"a" * 9000), b"POST /\xff\xfe HTTP/1.1", b""),
            ]
        )
    )
    head = [
        line,
        b"Host: x",
        b"Content-Type: " + kind.encode(),
        *draw(st.lists(framing, max_size=3)),
    ]
    return b"\r\n".join([*head, b"", b""]) + b"".join(draw(st.lists(pieces, max_size=4)))


def shown(value: Any) -> str:
    """For the message of a failed assertion."""
    text = repr(value)
    return text if len(text) <= 2000 else f"{text[:2000]}… ({len(text)} characters)"

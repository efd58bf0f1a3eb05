"""Requests and answers of one API call over HTTP/1.1, and the exchange that comes of them."""

from __future__ import annotations

import json

from observed import (
    STREAM_END,
    STREAM_HEAD,
    Kept,
    Script,
    answer,
    chunk,
    event,
    only,
    pipeline_of,
    request,
)

from sidelight_sidecar.observer.exchange import Exchange


def sse(*values: object) -> list[bytes]:
    """A whole stream, an event a read; bytes are an event's data, anything else becomes JSON."""
    return [STREAM_HEAD, *[event(value) for value in values], STREAM_END]


def raw_stream(*pieces: bytes, content_type: str = "") -> list[bytes]:
    """A chunked body without any structure, a chunk a read."""
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    return [(head + "\r\n").encode(), *[chunk(piece) for piece in pieces], STREAM_END]


def kept_of(path: str, asked: object, *read: bytes, engine: str = "Auto") -> Kept:
    """What came of a POST and the reads that answered it, 10 ms apart."""
    kept = Kept()
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    script = Script().client(request(body, path)).engine(*read)
    pipeline_of(kept, engine=engine).feed(script.frames)
    return kept


def exchange_of(path: str, asked: object, *read: bytes, engine: str = "Auto") -> Exchange:
    """The one exchange of it."""
    return only(kept_of(path, asked, *read, engine=engine))


def answered(
    path: str, asked: object, body: object, status: int = 200, *, headers: tuple[str, ...] = ()
) -> Exchange:
    """The exchange of a POST that was answered with one document."""
    return exchange_of(path, asked, answer(body, status, headers))

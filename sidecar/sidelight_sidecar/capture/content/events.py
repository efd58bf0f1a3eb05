"""Streams that are there as a whole: server-sent events and JSON lines.

Events are split as browsers do (WHATWG HTML, 9.2.6): lines end at LF, CRLF or CR, never at U+2028
or the like, and `data` of several lines is joined. Unlike there, an event without a blank line
after it counts, for some servers end so, and a field named `error` is data of an event of that
name (TGI, llama.cpp of 2024).
"""

from collections.abc import Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def events(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each event's name, which is mostly empty, and its data."""
    name = b""
    data: list[bytes] = []
    for line in _lines(body.removeprefix(_BYTE_ORDER_MARK)):
        if not line:
            if data:
                yield name, b"\n".join(data)
                data = []
            name = b""
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value[:64]
        elif field in (b"data", b"error"):
            name = b"error" if field == b"error" else name
            data.append(value)
    if data:
        yield name, b"\n".join(data)


def json_lines(body: bytes) -> Iterator[bytes]:
    """Each line that is not empty."""
    for line in _lines(body):
        if line.strip():
            yield line


def _lines(body: bytes) -> Iterator[bytes]:
    """Lines, one at a time: a body of empty ones is no list of millions."""
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = 0
    while (end := body.find(b"\n", start)) >= 0:
        yield body[start:end]
        start = end + 1
    if start < len(body):
        yield body[start:]

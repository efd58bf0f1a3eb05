"""Server-sent events, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.bodies.sse import MAX_EVENT_BYTES, EventStream, EventTooLongError

LINES = st.sampled_from([
    b"data: a", b"data:b", b"data: [DONE]", b"data", b"event: error", b": ping", b"id: 1", b"",
    b"", "data: \u2028\x85".encode(),
])  # fmt: skip
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"]))).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


def events_of(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """All events of the pieces."""
    stream = EventStream()
    return [event for piece in pieces for event in stream.feed(piece)]


@given(STREAMS, st.lists(st.integers(1, 12)))
def test_cuts_change_nothing(data: bytes, sizes: list[int]) -> None:
    """Byte by byte, in pieces, at once, and an event a read: the same events."""
    pieces, rest = [], data
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    singly = events_of([data[i : i + 1] for i in range(len(data))])
    assert events_of([data]) == events_of([*pieces, rest]) == singly
    assert events_of([part + b"\n\n" for part in data.split(b"\n\n")]) == events_of(
        [data + b"\n\n"]
    )


def test_lines_of_one_event_are_joined_and_comments_are_none() -> None:
    """By the standard; U+2028 is no end of a line."""
    data = b"event: x\ndata: a\ndata:b\n\n: ping\n\ndata: \xe2\x80\xa8\r\n\r\n"
    assert events_of([data]) == [(b"x", b"a\nb"), (b"", b"\xe2\x80\xa8")]


def test_event_without_end_is_bounded() -> None:
    """Memory does not grow with what an engine sends."""
    with pytest.raises(EventTooLongError):
        events_of([b"data: " + b"x" * 4096] * (MAX_EVENT_BYTES // 4096 + 2))

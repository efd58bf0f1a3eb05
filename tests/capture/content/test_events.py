"""Streams that are there as a whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.content.events import Events, JsonLines
from sidelight_sidecar.observer.bodies.lines import LineStream
from sidelight_sidecar.observer.bodies.sse import EventStream

LINES = st.sampled_from([
    b"data: a", b"data:b", b"data: [DONE]", b"data", b"event: error", b": ping", b"id: 1", b"",
    b"", b"error: {}", "data: \u2028\x85".encode(), b"\xef\xbb\xbfdata: c",
])  # fmt: skip
BODIES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


@given(BODIES)
def test_a_whole_stream_has_the_events_that_the_observer_saw(body: bytes) -> None:
    """Two readers of the same bytes do not differ."""
    if b"\n\xef\xbb\xbf" in body or b"\r\xef\xbb\xbf" in body:
        return  # within a stream the observer takes a byte order mark for one; nobody sends it
    stream = EventStream()
    assert list(Events(body)) == [*stream.feed(body), *stream.flush()]


@given(st.lists(st.sampled_from([b"{}", b" ", b"", b"x"])).map(b"\n".join))
def test_lines_are_those_that_the_observer_saw(body: bytes) -> None:
    """Empty ones are none."""
    stream = LineStream()
    assert [line for _, line in JsonLines(body)] == [*stream.feed(body), *stream.flush()]

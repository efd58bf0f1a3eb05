"""Segments in any order in, exactly the stream out; or a gap, and never a wrong byte."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.tap.stream import (
    AHEAD,
    BYTES,
    END,
    FIN,
    LOST,
    NEW,
    OLD,
    RESET,
    RST,
    Event,
    Stream,
)

MASK = 0xFFFFFFFF
FLAG = {"": 0, "F": FIN, "R": RST}


def take(stream: Stream, seq: int, data: str = "", flag: str = "", at_ns: int = 1) -> list[Event]:
    payload = data.encode()
    return stream.take(at_ns, seq & MASK, FLAG[flag], payload, len(payload))[1]


def shown(events: list[Event]) -> str:
    names = {LOST: "-", END: "F", RESET: "R"}
    return " ".join(
        [
            value.decode() if isinstance(value, bytes) else f"{names[what]}{value or ''}"
            for what, _, value in events
        ]
    )


def test_segments_in_order() -> None:
    """The common case."""
    stream = Stream(100)
    assert shown(take(stream, 100, "ab") + take(stream, 102, "c") + take(stream, 103, "", "F"))
    assert stream.ended
    assert not stream.waiting


def test_out_of_order_waits_and_comes_with_the_time_of_what_was_missing() -> None:
    """The receiver could not read it before."""
    stream = Stream(100)
    assert take(stream, 103, "d", at_ns=5) == []
    assert take(stream, 101, "b", at_ns=6) == []
    assert stream.waiting
    assert stream.hole_since_ns == 5
    events = take(stream, 100, "a", at_ns=9)
    assert events == [(BYTES, 9, b"a"), (BYTES, 9, b"b")]
    assert stream.waiting
    assert stream.hole_since_ns == 9
    assert shown(take(stream, 102, "c")) == "c d"
    assert not stream.waiting
    assert stream.buffered_bytes == 0


def test_repeated_segments_come_once() -> None:
    """Whole, in part, and inside of what waits."""
    stream = Stream(0)
    assert shown(take(stream, 0, "abcd")) == "abcd"
    assert stream.take(1, 0, 0, b"abcd", 4) == (OLD, [])
    assert stream.take(1, 2, 0, b"cdef", 4) == (OLD, [(BYTES, 1, b"ef")])
    assert stream.take(1, 8, 0, b"ij", 2) == (AHEAD, [])
    assert stream.take(1, 8, 0, b"ij", 2) == (AHEAD, [])
    assert shown(take(stream, 6, "ghijkl")) == "gh ij kl"


def test_bytes_that_came_first_count() -> None:
    """Overlaps that say something else: in the past, and among what waits."""
    stream = Stream(0)
    take(stream, 0, "ab")
    assert shown(take(stream, 0, "XYc")) == "c"
    assert take(stream, 6, "ghi") == []
    assert take(stream, 5, "fGHIj") == []
    assert take(stream, 4, "eFGHIJk") == []
    assert shown(take(stream, 3, "dEFGHIJKl")) == "d e f ghi j k l"


def test_keep_alive_probes_are_no_data() -> None:
    """A byte, or none, before the next one."""
    stream = Stream(0)
    take(stream, 0, "ab")
    assert stream.take(1, 1, 0, b"\0", 1) == (NEW, [])
    assert stream.take(1, 1, 0, b"", 0) == (NEW, [])
    assert shown(take(stream, 2, "c")) == "c"


def test_zero_window_probe_brings_a_byte_early() -> None:
    """It is the stream's next byte, and comes again with those after it."""
    stream = Stream(0)
    take(stream, 0, "ab")
    assert shown(take(stream, 2, "c")) == "c"
    assert take(stream, 2, "c") == []
    assert shown(take(stream, 2, "cde")) == "de"


def test_sequence_numbers_wrap() -> None:
    """After 4 GiB they begin anew, in and out of order."""
    stream = Stream(MASK - 1)
    assert take(stream, 1, "d") == []
    assert shown(take(stream, MASK - 1, "abc")) == "abc d"
    assert shown(take(stream, 2, "e", "F")) == "e F"


def test_what_the_receiver_has_and_we_have_not_is_lost() -> None:
    """What waited comes with its own time, for the receiver did not wait for it."""
    stream = Stream(0)
    assert take(stream, 2, "cd", at_ns=5) == []
    assert take(stream, 6, "gh", at_ns=6) == []
    assert stream.acknowledge(2, 7) == [(LOST, 5, 2), (BYTES, 5, b"cd")]
    assert stream.acknowledge(6, 8) == [(LOST, 6, 2), (BYTES, 6, b"gh")]
    assert stream.acknowledge(10, 9) == [(LOST, 9, 2)]
    assert stream.acknowledge(9, 9) == []
    assert shown(take(stream, 10, "k")) == "k"


def test_acknowledgment_of_what_is_known_means_nothing() -> None:
    """Old and new ones, and one that no such stream can have."""
    stream = Stream(0)
    take(stream, 0, "abc")
    assert stream.acknowledge(1, 1) == stream.acknowledge(3, 1) == []
    assert stream.acknowledge((1 << 30) + 3, 1) == []
    assert take(stream, 3, "d") == [(BYTES, 1, b"d")]


def test_hole_that_is_given_up() -> None:
    """Too long, or too much behind it: everything known comes out."""
    stream = Stream(0)
    take(stream, 2, "c", at_ns=3)
    take(stream, 5, "f", "F", at_ns=4)
    assert shown(stream.give_up(9)) == "-2 c -2 f F"
    assert stream.ended
    assert stream.give_up(9) == []


def test_end_waits_for_what_is_missing_before_it() -> None:
    """And is lost sight of with it, when the receiver has both."""
    stream = Stream(0)
    assert take(stream, 1, "b", "F") == []
    assert shown(take(stream, 0, "a")) == "a b F"
    other = Stream(0)
    assert take(other, 3, "", "F") == []
    assert shown(other.acknowledge(4, 1)) == "-3 F"


def test_nothing_comes_after_the_end() -> None:
    """Repeated ends and bytes past it are ignored, those that waited too."""
    stream = Stream(0)
    assert take(stream, 4, "beyond") == []
    assert shown(take(stream, 0, "ab", "F")) == "ab F"
    assert take(stream, 2, "", "F") == take(stream, 3, "cd") == take(stream, 1, "bc", "F") == []
    assert not stream.waiting
    assert stream.buffered_bytes == 0


def test_reset_counts_at_its_place() -> None:
    """Where the receiver expects it; an old one never, one ahead when the stream gets there."""
    stream = Stream(0)
    take(stream, 0, "abc")
    stream.acknowledge(2, 1)
    assert take(stream, 1, "", "R") == []
    assert take(stream, 5, "", "R") == []
    assert stream.waiting
    assert shown(take(stream, 3, "de")) == "de R"
    for place in (2, 3):
        other = Stream(0)
        take(other, 0, "abc")
        other.acknowledge(2, 1)
        assert shown(take(other, place, "", "R")) == "R"


def test_reset_behind_a_hole_that_is_given_up() -> None:
    """First the loss, then the reset."""
    stream = Stream(0)
    assert take(stream, 4, "", "R") == []
    assert shown(stream.give_up(1)) == "-4 R"


def test_reset_after_the_end() -> None:
    """An end, and then no wish to read either."""
    for place in (2, 3):
        stream = Stream(0)
        assert shown(take(stream, 0, "ab", "F")) == "ab F"
        assert shown(take(stream, place, "", "R")) == "R"


def test_segment_far_from_any_window_begins_anew() -> None:
    """It is another connection's, whose handshake was not captured."""
    for far in (1 << 30, -(1 << 26) - 1, 1 << 31):
        stream = Stream(10)
        take(stream, 12, "waits")
        assert shown(take(stream, 10 + far, "new")) == "- new"
        assert shown(take(stream, 13 + far, "er")) == "er"
        assert take(Stream(10), 10 + far, "", "F") == []


def test_captured_in_part_leaves_a_hole() -> None:
    """What is missing of a segment is where its length says."""
    stream = Stream(0)
    assert stream.take(1, 0, 0, b"abc", 5) == (NEW, [(BYTES, 1, b"abc")])
    assert take(stream, 5, "f") == []
    assert shown(stream.acknowledge(6, 2)) == "-2 f"


def test_tiny_pieces_count_for_what_they_cost() -> None:
    """A byte in every second place is not as cheap as it looks."""
    stream = Stream(0)
    for place in range(2, 200, 2):
        take(stream, place, "x")
    assert stream.buffered_bytes > 99 * 100


# --- properties -------------------------------------------------------------------------------
@st.composite
def segmented(draw: st.DrawFn) -> tuple[int, bytes, list[tuple[int, int]]]:
    """A first sequence number (often just before the wrap), a stream, and segments (from, to) that
    cover it, some of them twice or overlapping, shuffled within a window.
    """
    data = draw(st.binary(min_size=1, max_size=120))
    first = draw(st.sampled_from([0, 1, MASK, MASK - 7, MASK - 60, 1 << 31, (1 << 31) - 20]))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    edges = [0, *[cut for cut in cuts if cut < len(data)], len(data)]
    pieces = list(itertools.pairwise(edges))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data) - 1))
        pieces.insert(
            draw(st.integers(0, len(pieces))), (start, draw(st.integers(start + 1, len(data))))
        )
    window = draw(st.integers(0, 6))
    ranks = [(place + draw(st.integers(0, window)), piece) for place, piece in enumerate(pieces)]
    return first, data, [piece for _, piece in sorted(ranks, key=lambda ranked: ranked[0])]


@given(segmented())
def test_all_segments_give_exactly_the_stream(
    case: tuple[int, bytes, list[tuple[int, int]]],
) -> None:
    """Cut, shuffled, repeated, overlapping, over the wrap."""
    first, data, pieces = case
    stream = Stream(first)
    events: list[Event] = []
    for start, end in pieces:
        flag = FIN if end == len(data) else 0
        seq = (first + start) & MASK
        events += stream.take(1, seq, flag, data[start:end], end - start)[1]
    assert b"".join([value for _, _, value in events if isinstance(value, bytes)]) == data
    assert [what for what, _, _ in events if what != BYTES] == [END]
    assert not stream.waiting
    assert stream.buffered_bytes == 0


@given(segmented(), st.data())
def test_missing_segments_give_gaps_and_never_wrong_bytes(
    case: tuple[int, bytes, list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Some are not captured; acknowledgments come at any time for any part, as from a receiver that
    has everything. Bytes and losses together are always the stream, place for place.
    """
    first, content, pieces = case
    stream = Stream(first)
    events: list[Event] = []
    sent = 0
    for start, end in pieces:
        sent = max(sent, end)
        if data.draw(st.booleans(), "captured"):
            cut = data.draw(st.integers(start, end), "captured up to")
            seq = (first + start) & MASK
            events += stream.take(1, seq, 0, content[start:cut], end - start)[1]
        if data.draw(st.booleans(), "acknowledged"):
            ack = (first + data.draw(st.integers(0, sent), "up to")) & MASK
            events += stream.acknowledge(ack, 1)
    events += stream.acknowledge((first + len(content)) & MASK, 1)
    place = 0
    for what, _, value in events:
        if isinstance(value, bytes):
            assert content[place : place + len(value)] == value
            place += len(value)
        else:
            assert what == LOST
            assert value > 0
            place += value
    assert place == len(content)
    assert not stream.waiting
    assert stream.buffered_bytes == 0


@given(
    st.lists(
        st.tuples(st.integers(0, MASK), st.integers(0, 7), st.binary(max_size=9), st.booleans()),
        max_size=40,
    )
)
def test_any_segments_are_survived(segments: list[tuple[int, int, bytes, bool]]) -> None:
    """Whatever numbers come: no error, and the place in the stream never goes back by itself."""
    stream = Stream(1000)
    for number, flags, payload, nearby in segments:
        before = stream.next
        seq = (before + number % 50 - 20) & MASK if nearby else number
        events = stream.take(1, seq, flags, payload, len(payload))[1]
        events += stream.acknowledge((seq + 7) & MASK, 1)
        began_anew = any(what == LOST and not value for what, _, value in events)
        assert began_anew or stream.next >= before
        assert stream.buffered_bytes >= 0
    stream.give_up(2)
    assert not stream.waiting

"""A stream's reads are understood however a proxy cuts and chunks them; nothing missing passes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from benchmarks.arrivals import BrokenStreamError, Read, arrivals
from benchmarks.engine import FIRST, TOKEN, ending
from hypothesis import given
from hypothesis import strategies as st

BEAT_NS = 20_000_000
START_NS = 1_000_000_000


def sends(tokens: int) -> list[tuple[int, bytes]]:
    """What the engine sends, and when: the role chunk, a token at each beat, the end."""
    times = [START_NS + beat * BEAT_NS for beat in range(tokens + 2)]
    parts = [FIRST % times[0]]
    parts += [TOKEN % at for at in times[1:-1]]
    parts.append(ending(tokens) % (times[-1], times[-1]))
    return list(zip(times, parts, strict=True))


def cut(raw: bytes, places: list[int]) -> list[Read]:
    """Cut the bytes into reads, a microsecond after each other."""
    edges = sorted({0, len(raw), *(place % len(raw) for place in places)})
    return [
        (START_NS + number * 1000, raw[begin:end])
        for number, (begin, end) in enumerate(pairwise(edges))
    ]


def chunked_anew(raw: bytes, sizes: list[int]) -> bytes:
    """The same response with its body in chunks of other sizes, as some proxies send it."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    body = b"".join(re.findall(rb"(?:^|\r\n)[0-9a-f]+\r\n(.*?\n\n)(?=\r\n)", rest, re.DOTALL))
    pieces, at = [], 0
    while at < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(b"%X\r\n%s\r\n" % (len(body[at : at + size]), body[at : at + size]))
        at += size
    return head + b"\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"


@given(tokens=st.integers(0, 5), places=st.lists(st.integers(0, 1 << 16)))
def test_every_event_arrives_with_the_read_that_holds_its_last_byte(
    tokens: int, places: list[int]
) -> None:
    """However the bytes are cut, an event is dated by the read that completes it."""
    raw = b"".join(part for _, part in sends(tokens))
    reads = cut(raw, places)
    found = arrivals(reads, tokens)
    times = [at for at, _ in sends(tokens)]
    assert found.sent_ns == [*times, times[-1]]
    for sent, read in zip(found.sent_ns, found.read_ns, strict=True):
        had = b"".join(data for at, data in reads if at < read)
        has = b"".join(data for at, data in reads if at <= read)
        ends = [m.end() for m in re.finditer(rb'"at-%019d"[^\n]*\n\n' % sent, raw)]
        assert any(len(had) < end <= len(has) for end in ends)


@given(
    tokens=st.integers(0, 5),
    sizes=st.lists(st.integers(1, 700), min_size=1),
    places=st.lists(st.integers(0, 1 << 16)),
)
def test_other_chunks_carry_the_same_events(
    tokens: int, sizes: list[int], places: list[int]
) -> None:
    """A proxy may put the body into chunks of its own."""
    raw = chunked_anew(b"".join(part for _, part in sends(tokens)), sizes)
    times = [at for at, _ in sends(tokens)]
    assert arrivals(cut(raw, places), tokens).sent_ns == [*times, times[-1]]


@given(tokens=st.integers(0, 4), left=st.integers(0, 1 << 16))
def test_a_stream_that_was_cut_short_is_broken(tokens: int, left: int) -> None:
    """Whatever is missing at the end, the stream does not count as whole."""
    raw = b"".join(part for _, part in sends(tokens))
    with pytest.raises(BrokenStreamError):
        arrivals([(START_NS, raw[: left % len(raw)])], tokens)


def test_a_missing_or_doubled_token_breaks_the_stream() -> None:
    """Every token must come exactly once."""
    parts = [part for _, part in sends(3)]
    for wrong in ([*parts[:1], *parts[2:]], [*parts[:2], *parts[1:]]):
        with pytest.raises(BrokenStreamError):
            arrivals([(START_NS, b"".join(wrong))], 3)


def test_tokens_in_the_wrong_order_break_the_stream() -> None:
    """Order is part of what a proxy must keep."""
    parts = [part for _, part in sends(2)]
    parts[1], parts[2] = parts[2], parts[1]
    with pytest.raises(BrokenStreamError):
        arrivals([(START_NS, b"".join(parts))], 2)


def test_delays_and_gaps_are_those_of_the_wire() -> None:
    """A token that is 2 ms late lengthens one gap and shortens the next by as much."""
    late_ns = [0, 0, 2_000_000, 0, 0]
    reads = [(at + 100 + late, part) for (at, part), late in zip(sends(3), late_ns, strict=True)]
    found = arrivals(reads, 3)
    assert found.delays_ns() == [100, 100, 2_000_100, 100, 100, 100]
    assert found.gap_deviations_ns() == [0, 2_000_000, 2_000_000, 0]
    assert found.merged_reads == 0


def test_only_events_of_different_beats_count_as_merged() -> None:
    """The end of a stream is sent as several events at once: they belong in one read."""
    parts = [part for _, part in sends(3)]
    apart = [(START_NS + number, part) for number, part in enumerate(parts)]
    assert arrivals(apart, 3).merged_reads == 0
    merged = [*apart[:1], (START_NS + 1, parts[1] + parts[2]), *apart[3:]]
    assert arrivals(merged, 3).merged_reads == 1

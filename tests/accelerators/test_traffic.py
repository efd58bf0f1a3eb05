"""Which requests were in flight in a span of time, and what they were at."""

from __future__ import annotations

from devices import SECOND

from sidelight_contract.gpu import Phase
from sidelight_sidecar.observer.accelerators.traffic import (
    KEPT_NS,
    MAX_ENDED,
    MAX_FLYING,
    InFlight,
    Traffic,
)
from sidelight_sidecar.observer.exchange import OTHER, Exchange


def exchange(
    whole: float, first: float = 0, stop: float = 0, *, stream: bool = True, generating: bool = True
) -> Exchange:
    """One whose request was whole at that second."""
    made = Exchange(1, round((whole - 0.5) * SECOND))
    made.operation, made.generating = "chat", generating
    made.stream = made.stream_asked = stream
    made.request_end_ns, made.stop_ns = round(whole * SECOND), round(stop * SECOND)
    made.first_output_ns = round(first * SECOND)
    return made


def told(*exchanges: Exchange) -> Traffic:
    """What was told of them: those with an end have ended."""
    traffic = Traffic()
    traffic.asked = True
    for one in exchanges:
        traffic.started(one)
        if one.stop_ns:
            traffic.finished(one)
    return traffic


def between(traffic: Traffic, since: float, until: float) -> InFlight:
    """The same in seconds."""
    return traffic.between(round(since * SECOND), round(until * SECOND))


def test_first_output_divides_prefill_from_decode() -> None:
    """Of one that ended and of one that is still under way; upload is neither."""
    for one in (exchange(1, 3, 9), exchange(1, 3)):
        traffic = told(one)
        assert between(traffic, 0, 1) == InFlight()
        assert between(traffic, 0, 3) == InFlight(2 * SECOND, 2 * SECOND, 0, 2 * SECOND)
        assert between(traffic, 2, 4) == InFlight(2 * SECOND, SECOND, SECOND, 2 * SECOND)
        assert between(traffic, 4, 6).phase is Phase.DECODE
    assert between(told(exchange(1, 3, 9)), 9, 12).phase is Phase.NONE


def test_a_stream_that_has_brought_nothing_is_prefill() -> None:
    """So is what generates nothing; an answer in one piece is neither."""
    assert between(told(exchange(1)), 2, 3).phase is Phase.PREFILL
    assert between(told(exchange(1, 0, 4, generating=False)), 2, 3).phase is Phase.PREFILL
    plain = between(told(exchange(1, 0, 4, stream=False)), 2, 3)
    assert (plain.all_ns, plain.phase) == (SECOND, Phase.MIXED)


def test_many_requests_count_each_but_cover_the_time_once() -> None:
    """What dominates is by request time."""
    traffic = told(exchange(1, 2, 5), exchange(1, 2, 5), exchange(3, 8, 9))
    found = between(traffic, 3, 5)
    assert (found.all_ns, found.covered_ns) == (6 * SECOND, 2 * SECOND)
    assert (found.decode_ns, found.prefill_ns) == (4 * SECOND, 2 * SECOND)
    assert found.phase is Phase.DECODE
    assert between(traffic, 1, 3).phase is Phase.MIXED  # half is not more than half


def test_a_short_request_makes_no_phase_of_a_long_quiet_time() -> None:
    """An exporter's samples are many seconds apart: most of such a time must be somebody's."""
    traffic = told(exchange(1, 3, 4))
    assert between(traffic, 0, 4).phase is Phase.PREFILL
    assert between(traffic, 0, 6).phase is Phase.PREFILL
    assert between(traffic, 0, 6.1).phase is Phase.NONE
    assert between(traffic, 0, 30).phase is Phase.NONE


def test_what_is_no_inference_or_was_lost_is_not_counted() -> None:
    """Nor what has not been sent whole."""
    health, lost, uploading = exchange(1, 2, 9), exchange(1), exchange(1)
    health.operation = OTHER
    uploading.request_end_ns = 0
    traffic = told(health, lost, uploading)
    traffic.dropped(lost)
    assert between(traffic, 0, 9) == InFlight()


def test_without_anybody_who_asks_nothing_is_kept() -> None:
    """A pod without devices pays for two steps of a dictionary."""
    traffic = Traffic()
    one = exchange(1, 2, 9)
    traffic.started(one)
    traffic.finished(one)
    traffic.asked = True
    assert between(traffic, 0, 9) == InFlight()


def test_it_is_bounded() -> None:
    """In what is under way, in what has ended, and in time."""
    traffic = told(*(exchange(1) for _ in range(MAX_FLYING + 5)))
    assert between(traffic, 1, 2).all_ns == MAX_FLYING * SECOND
    many = told(*(exchange(1, 2, 3) for _ in range(MAX_ENDED + 5)))
    assert between(many, 1, 2).all_ns == MAX_ENDED * SECOND
    many.forget(3 * SECOND + KEPT_NS + 1)
    assert between(many, 1, 2).all_ns == 0

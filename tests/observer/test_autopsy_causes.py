"""From a timeline to the likely cause: each rule, by constructed timelines."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_contract.autopsy import Cause
from sidelight_sidecar.observer.accelerators.history import Held
from sidelight_sidecar.observer.autopsy.causes import find
from sidelight_sidecar.observer.autopsy.timeline import Neighbour, Stall, Timeline, Usual
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.engine_times import EngineTimes

MS = 1_000_000
DOCS = Path(__file__).parents[2] / "docs" / "autopsy.md"


def line(**changed: object) -> Timeline:
    """A stream of 10 s: 10 ms upload, 2 s to the first output, 7.9 s of output."""
    values: dict[str, object] = {
        "start_ns": 100_000 * MS, "request_end_ns": 100_010 * MS,
        "first_output_ns": 102_000 * MS, "last_output_ns": 109_900 * MS, "stop_ns": 110_000 * MS,
        "bytes_in": 200, "prompt_tokens": 40, "output_tokens": 100, "arrivals": 100,
        "typical_gap": 0.02,
    }  # fmt: skip
    return Timeline(**{**values, **changed})  # type: ignore[arg-type]


def sample(at_ms: int, **signals: object) -> EngineSample:
    return EngineSample(asked_ns=at_ms * MS, at_ns=at_ms * MS, **signals)  # type: ignore[arg-type]


PAUSE = Stall(103_000 * MS, 108_000 * MS, 7)
LATE = {"first_output_ns": 109_000 * MS}
UNKNOWN_TIMES: dict[str, object] = {}
CASES: list[tuple[Cause, str, Timeline]] = [
    (Cause.UNKNOWN, "2.00s", line(first_output_ns=102_010 * MS)),
    (Cause.SLOW_UPLOAD, "200 bytes", line(request_end_ns=108_000 * MS, **LATE)),
    (Cause.SLOW_READER, "2 times", line(
        held=((103_000 * MS, 105_000 * MS), (105_000 * MS, 108_000 * MS)), stalls=(PAUSE,),
    )),
    (Cause.UPSTREAM_STALL, "5.00s after 7 outputs", line(stalls=(PAUSE,))),
    (Cause.UPSTREAM_STALL, "to it alone", line(
        stalls=(Stall(103_000 * MS, 108_000 * MS, 7, others_ns=104_000 * MS),), concurrency=2,
    )),
    (Cause.PREEMPTION, "preempted 3 requests", line(
        stalls=(PAUSE,), before=sample(99_000, preemptions=4.0),
        during=(sample(105_000, preemptions=7.0, kv_cache_usage=0.99),),
        after=sample(111_000, preemptions=7.0),
    )),
    (Cause.LONG_PROMPT_NEIGHBOUR, "4000 tokens", line(
        stalls=(PAUSE,), concurrency=1,
        neighbours=(Neighbour(102_900 * MS, 108_050 * MS, 16_000, 4000),),
    )),
    (Cause.LONG_PROMPT_NEIGHBOUR, "16000 bytes", line(
        **LATE, neighbours=(Neighbour(99_000 * MS, 109_000 * MS, 16_000),), concurrency=2,
    )),
    (Cause.QUEUED, "waited 8.49s", line(
        **LATE, engine_times=EngineTimes(prefill_ns=500 * MS), concurrency=9,
    )),
    (Cause.QUEUED, "12 waited", line(**LATE, during=(sample(103_000, waiting=12.0),))),
    (Cause.LONG_PROMPT, "6000 tokens", line(
        **LATE, prompt_tokens=6000, engine_times=EngineTimes(prefill_ns=8_900 * MS),
    )),
    (Cause.LONG_PROMPT, "usual are 50", line(
        **LATE, prompt_tokens=6000, usual=Usual(prompt_tokens=50.0),
    )),
    (Cause.GPU_THROTTLED, "heat held the clocks of GPU 1 down for 90% of its time", line(
        clocks=Held("1", "hw_thermal", 0.9, 0.05, 0.6, 0.8e9, 2e9),
    )),
    (Cause.GPU_THROTTLED, "at 600 MHz instead of 1980", line(
        clocks=Held("0", "sw_power_cap", 1.0, 0.1, 0.7, 0.6e9, 1.98e9),
    )),
    (Cause.CROWDED, "9 other requests", line(
        concurrency=10, time_per_output_token=0.08,
        usual=Usual(time_per_output_token=0.02),
    )),
    (Cause.MANY_TOKENS, "usual are 30", line(usual=Usual(output_tokens=30.0))),
    (Cause.CLIENT_LEFT, "after 100 outputs", line(code=499, error="client_disconnect")),
    (Cause.OVERLOADED, "503", line(code=503, error="overloaded", concurrency=33)),
    (Cause.OVERLOADED, "429", line(code=429, error="rate_limited")),
    (Cause.ENGINE_RESET, "3 others", line(error="upstream_reset", ended_alike=3)),
    (Cause.ENGINE_RESET, "restarted", line(
        error="upstream_reset", before=sample(99_000, started_at=5.0),
        after=sample(120_000, started_at=99.0),
    )),
    (Cause.ENGINE_UNREACHABLE, "did not accept", line(code=0, error="upstream_connect")),
    (Cause.ENGINE_ERROR, "answered 500", line(code=500, error="server_error")),
    (Cause.ENGINE_ERROR, "within its stream", line(error="stream_error")),
    (Cause.ENGINE_ERROR, "504", line(code=504, error="timeout")),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "said", "timeline"), CASES)
def test_cause_is_named_with_its_evidence(cause: Cause, said: str, timeline: Timeline) -> None:
    """The rule that accounts for most of the time, and the number that shows it."""
    finding = find(timeline)
    assert finding.cause == cause, finding
    assert said in finding.said


@pytest.mark.parametrize(
    "timeline",
    [
        line(**LATE, neighbours=(Neighbour(99_000 * MS, 109_000 * MS, 300, 60),)),  # type: ignore[arg-type]
        line(**LATE, concurrency=9),  # type: ignore[arg-type]
        line(**LATE, before=sample(99_000, waiting=0.0), concurrency=9),  # type: ignore[arg-type]
        line(**LATE, prompt_tokens=6000, concurrency=5),  # type: ignore[arg-type]
        line(stalls=(Stall(103_000 * MS, 108_000 * MS, 7),), typical_gap=1.0),
        line(before=sample(99_000, preemptions=4.0), after=sample(111_000, preemptions=9.0)),
        line(output_tokens=None, usual=Usual(output_tokens=30.0)),
        line(clocks=Held("0", "sw_power_cap", 1.0, 0.95, 0.7)),
        line(clocks=Held("0", "sw_power_cap", 1.0, 0.0, 0.0)),
    ],
    ids=(
        "short neighbour", "in flight alone", "empty queue", "prompt among others",
        "slow as ever", "preempted, not stalled", "tokens unknown",
        "throttled as ever", "throttled, by how much nobody knows",
    ),
)  # fmt: skip
def test_without_evidence_the_cause_is_unknown(timeline: Timeline) -> None:
    """Nothing is guessed; the sentence says where the time went."""
    finding = find(timeline)
    assert finding.cause == Cause.UNKNOWN, finding
    assert "upload" in finding.said


def test_every_cause_has_a_case() -> None:
    """And a row in docs/autopsy.md; no row is of none."""
    assert {cause for cause, _, _ in CASES} == set(Cause)
    rows = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))
    assert rows == {str(cause) for cause in Cause}


times = st.one_of(st.just(0), st.integers(0, 1 << 62))
spans = st.tuples(times, times)
counts = st.one_of(st.none(), st.integers(0, 10**12))
amounts = st.one_of(st.none(), st.floats(0, 1e12))
samples = st.builds(
    EngineSample, asked_ns=times, at_ns=times, waiting=amounts, running=amounts,
    kv_cache_usage=amounts, preemptions=amounts, started_at=amounts,
)  # fmt: skip
timelines = st.builds(
    Timeline,
    **{field.name: times for field in fields(Timeline) if field.name.endswith("_ns")},
    stream=st.booleans(),
    code=st.integers(0, 999),
    error=st.sampled_from(["", "timeout", "upstream_reset", "client_disconnect", "auth", "x"]),
    bytes_in=times,
    prompt_tokens=counts,
    output_tokens=counts,
    cached_tokens=times,
    arrivals=times,
    concurrency=st.integers(0, 10**6),
    typical_gap=amounts,
    time_per_output_token=amounts,
    engine_times=st.one_of(st.none(), st.builds(EngineTimes, counts, counts, counts)),
    stalls=st.lists(st.builds(Stall, times, times, times, times), max_size=3).map(tuple),
    held=st.lists(spans, max_size=3).map(tuple),
    neighbours=st.lists(st.builds(Neighbour, times, times, times, counts), max_size=3).map(tuple),
    usual=st.builds(Usual, amounts, amounts, amounts, amounts, amounts),
    before=st.one_of(st.none(), samples),
    during=st.lists(samples, max_size=3).map(tuple),
    after=st.one_of(st.none(), samples),
    clocks=st.one_of(
        st.none(),
        st.builds(
            Held,
            st.just("0"),
            st.sampled_from(["sw_thermal", "other"]),
            *[st.floats(0, 1)] * 3,
            amounts,
            amounts,
        ),
    ),
)


@given(timelines)
def test_no_timeline_makes_it_raise(timeline: Timeline) -> None:
    """Whatever it holds there is a cause and one sentence."""
    finding = find(timeline)
    assert finding.cause in Cause
    assert 10 < len(finding.said) < 600
    assert "\n" not in finding.said

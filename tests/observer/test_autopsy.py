"""What a sidecar keeps of slow and failed exchanges, from frames to the summary."""

from __future__ import annotations

import pytest
from devices import FRESH, sample
from hypothesis import given
from hypothesis import strategies as st
from observed import MS, STREAM_END, STREAM_HEAD, Kept, Script, answer, delta, pipeline_of, request

from sidelight_contract.autopsy import MAX_FAILED, MAX_SLOW, Autopsy, Cause, worst
from sidelight_contract.summary import decode_counted, encode_summary
from sidelight_sidecar.frames.codec import CLOSED, ENGINE_BYTES, NO_DELAY, RESET
from sidelight_sidecar.observer.autopsy import watcher
from sidelight_sidecar.observer.autopsy.pressure import MAX_WAITS, ClientPressure
from sidelight_sidecar.observer.autopsy.reservoir import MOST, SLICES, Record, Reservoirs
from sidelight_sidecar.observer.autopsy.timeline import Timeline
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.pipeline import Pipeline

SECRET = b"zanzibar"


def word(size: int = 4) -> bytes:
    return delta(content="x" * size)


def stream(script: Script, *gaps_ms: float, size: int = 4) -> Script:
    """A stream with one output after each gap."""
    script.client(request(b'{"stream":true,"user":"zanzibar"}')).engine(STREAM_HEAD)
    for gap in gaps_ms:
        script.engine(word(size), after_ms=gap)
    return script.engine(delta("stop"), STREAM_END).close()


def told(pipeline: Pipeline, at_ms: float = 100_000) -> list[Autopsy]:
    return pipeline.summary(int(at_ms * MS)).autopsies


def test_pause_in_a_stream_is_told_with_its_position() -> None:
    """After the third output came nothing for four seconds."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(stream(Script(), 100, 20, 20, 4000, 20, 20).frames)
    (found,) = told(pipeline)
    assert (found.cause, found.stalls) == (Cause.UPSTREAM_STALL, [(3, 4000)])
    assert (found.in_flight, found.error, found.code) == (1, "", 200)
    assert found.decode_ms >= 4000
    assert found.relay_us == 50


def waited(*delays: int, sizes: tuple[int, ...]) -> list[Autopsy]:
    """A stream of reads half a second apart, that so waited."""
    script = Script().client(request()).engine(STREAM_HEAD)
    for delay, size in zip(delays, sizes, strict=True):
        script.add(ENGINE_BYTES, word(size), after_ms=500, delay_ns=delay)
    pipeline = pipeline_of(Kept())
    pipeline.feed(script.engine(delta("stop"), STREAM_END).close().frames)
    return told(pipeline)


def test_client_that_reads_slowly_is_told_from_an_engine_that_pauses() -> None:
    """Bytes that had to wait, and more of them: the client. Little after it: the engine."""
    slow = (NO_DELAY,) * 5
    (found,) = waited(*slow, sizes=(9000,) * 5)
    assert found.cause == Cause.SLOW_READER
    assert found.held_ms == 2000
    (found,) = waited(NO_DELAY, 9, 9, 9, 9, sizes=(4, 9000, 4, 4, 4))
    assert found.held_ms == 500
    (found,) = waited(NO_DELAY, 9, 9, 9, 9, sizes=(4,) * 5)
    assert found.held_ms == 0


def test_tap_that_times_no_writes_knows_of_no_slow_client() -> None:
    """None of its frames has a delay: that says nothing."""
    script = Script()
    stream(script, 500, 500, 500, 500, size=9000)
    frames = [(*frame[:3], NO_DELAY, frame[4]) for frame in script.frames]
    pipeline = pipeline_of(Kept())
    pipeline.feed(frames)
    (found,) = told(pipeline)
    assert found.held_ms == 0


def test_neighbour_with_a_long_prompt_is_found_by_its_times() -> None:
    """It came, the stream stood still, its first output came, the stream went on."""
    pipeline = pipeline_of(Kept())
    short, long = Script(1), Script(2, 200)
    stream(short, 100, 20, 20, 4000, 20)
    long.client(request(b'{"stream":true,"user":"%s"}' % (b"u" * 9000))).engine(STREAM_HEAD)
    long.engine(word(), after_ms=3980).engine(delta("stop"), STREAM_END).close()
    pipeline.feed(sorted(short.frames + long.frames, key=lambda frame: frame[2]))
    found = {autopsy.cause: autopsy for autopsy in told(pipeline)}
    assert Cause.LONG_PROMPT_NEIGHBOUR in found, found
    assert found[Cause.LONG_PROMPT_NEIGHBOUR].stalls


def test_one_that_took_longer_than_usual_for_its_size_comes_before_a_longer_one() -> None:
    """Ten of 2 s are usual; of the other size 1 s is usual, and one took 1.9 s."""
    pipeline = pipeline_of(Kept())
    at = 0.0
    for tokens, gap in [*[(400, 2000)] * 10, *[(5, 300)] * 10, (5, 1900)]:
        usage = {"prompt_tokens": 9, "completion_tokens": tokens}
        script = Script(1, at).client(request()).engine(STREAM_HEAD).engine(word())
        script.engine(word(), after_ms=gap).engine(delta("stop", usage=usage), STREAM_END).close()
        pipeline.feed(script.frames)
        at = script.at_ms
    first = told(pipeline, at)[0]
    assert first.output_tokens == 5
    assert first.times_usual > 3


def test_what_the_engine_was_doing_is_told() -> None:
    """Its word nearest to the beginning, and what it preempted until its first word afterwards; one
    that began anew meanwhile says nothing of that.
    """
    for after, preempted in ((7.0, 3.0), (0.0, None)):
        pipeline = pipeline_of(Kept())
        for at_ms, count in ((1_000, 4.0), (9_000, after)):
            if at_ms == 9_000:
                pipeline.feed(stream(Script(at_ms=2_000), 100, 20, 3000, 20).frames)
            pipeline.engine_said(
                EngineSample(
                    asked_ns=at_ms * MS, at_ns=at_ms * MS + 1, running=5.0, waiting=2.0,
                    kv_cache_usage=0.97, preemptions=count,
                )
            )  # fmt: skip
        (found,) = told(pipeline)
        assert (found.running, found.waiting, found.kv_cache_usage) == (5.0, 2.0, 0.97)
        assert found.preemptions == preempted


def test_refusals_are_told_apart_from_slow_ones_and_the_clients_errors_are_none() -> None:
    """An overloaded engine is a case, a bad request is not, nor is a health check."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script(1).client(request()).engine(answer({}, 503)).frames)
    pipeline.feed(Script(2, 90).client(request()).engine(answer({}, 422)).frames)
    pipeline.feed(Script(3, 180).client(request(b"", "/health")).engine(answer({})).frames)
    (found,) = told(pipeline, 500)
    assert (found.cause, found.error, found.code) == (Cause.OVERLOADED, "overloaded", 503)


def test_flood_of_refusals_costs_little_and_hides_no_other_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full engine refuses 500 in five seconds; among them one connection breaks, one client
    leaves. Records are made of some, for each looks at all that is in flight.
    """
    made: list[Exchange] = []
    make = watcher._timeline
    monkeypatch.setattr(watcher, "_timeline", lambda one: [made.append(one), make(one)][1])
    pipeline = pipeline_of(Kept())
    for number in range(500):
        script = Script(number, at_ms=10.0 * number).client(request())
        if number == 100:
            script.engine(STREAM_HEAD, word()).add(RESET, b"engine")
        elif number == 110:
            script.engine(STREAM_HEAD, word()).add(RESET, b"client")
        else:
            script.engine(answer({}, 503))
        pipeline.feed(script.add(CLOSED).frames)
    found = told(pipeline, 10_000)
    assert sorted(one.error for one in found) == [
        "client_disconnect", "overloaded", "upstream_reset",
    ]  # fmt: skip
    assert len(made) < 8 + 3 + 5000 * MS // watcher.SPACING_NS


def test_nothing_of_what_was_said_is_told_and_the_controllers_reading_keeps_it() -> None:
    """Neither the prompt nor the path; the summary goes over the wire as it is."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(stream(Script(), 100, 20, 3000).frames)
    summary = pipeline.summary(100_000 * MS)
    wire = encode_summary(summary)
    assert SECRET not in wire
    assert b"xxxx" not in wire
    assert b"/v1/" not in wire
    assert decode_counted(wire).autopsies == summary.autopsies != []


def test_window_forgets_and_a_window_of_another_length_begins_anew() -> None:
    """300 s later nothing is left; nor after a change of the setting."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(stream(Script(), 100, 3000).frames)
    assert told(pipeline, 100_000)
    assert not told(pipeline, 400_000)


def record(number: int, error: str = "") -> Record:
    timeline = Timeline(0, (number + 1) * MS, error=error)
    return Record(f"m{number % 50}", "chat", timeline, float(number))


def test_reservoirs_are_bounded_and_keep_the_slowest() -> None:
    """However many models, requests and errors there are."""
    kept = Reservoirs(300)
    for number in range(20_000):
        kept.add(record(number, "timeout" if number % 3 else ""))
    assert len(list(kept)) <= 2 * 34 * SLICES * MOST
    one = Reservoirs(300)
    for number in (5, 900, 7, 3, *range(50, 550, 50), 800):
        one.add(Record("m", "chat", Timeline(0, MS), float(number)))
    assert sorted(r.times_usual for r in one)[-2:] == [800.0, 900.0]
    assert len(list(one)) == MOST
    assert not one.wants("m", MS, 1.0, 5)


def test_waits_are_bounded_and_forgotten_with_their_connection() -> None:
    """A connection that lives for ever keeps the newest."""
    pressure = ClientPressure()
    pressure.relayed = True
    for at in range(1, 10 * MAX_WAITS):
        pressure.engine_bytes(7, at, NO_DELAY, 100)
    assert len(pressure.between(7, 0, 1 << 60)) == MAX_WAITS
    assert pressure.waiting == 1
    pressure.closed(7)
    assert pressure.between(7, 0, 1 << 60) == []
    assert pressure.waiting == 0


autopsies = st.builds(
    Autopsy,
    model=st.sampled_from("ab"), operation=st.just("chat"), cause=st.sampled_from(list(Cause)),
    at=st.integers(0, 5).map(float), said=st.sampled_from(["x", "y"]),
    times_usual=st.sampled_from([1.0, 2.0]), duration_ms=st.integers(0, 3),
    error=st.sampled_from(["", "timeout"]),
)  # fmt: skip
lists = st.lists(autopsies, max_size=12)


@given(lists, lists, lists)
def test_merging_is_associative_commutative_and_bounded(
    a: list[Autopsy], b: list[Autopsy], c: list[Autopsy]
) -> None:
    """In whatever order pods are asked, the same are kept."""
    assert worst([*worst([*a, *b]), *c]) == worst([*a, *worst([*b, *c])]) == worst([*c, *b, *a])
    assert len(worst([*a, *b, *c])) <= MAX_SLOW + MAX_FAILED


def test_clocks_that_heat_held_down_are_named_with_their_numbers() -> None:
    """What the device told during the request; before it, it was cool."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(stream(Script(at_ms=60_000), 20, *[2000] * 9).frames)
    hot = frozenset({"hw_thermal"})
    for second in range(90):
        held = second > 59
        told_by = sample(
            second, utilization=1.0, clock_hertz=0.7e9 if held else 1.9e9,
            clock_events=hot if held else frozenset(),
        )  # fmt: skip
        pipeline.devices_said([told_by], FRESH, second * 1000 * MS)
    (found,) = told(pipeline)
    assert found.cause == Cause.GPU_THROTTLED
    assert "heat held the clocks of GPU 0 down for 100% of its time (hw_thermal)" in found.said
    assert "they were at 700 MHz instead of 1900" in found.said


def test_an_autopsy_has_the_joules_of_its_request() -> None:
    """Once they are settled; of samples that are too far apart it has none."""
    for seconds, known in ((0.1, True), (5.0, False)):
        pipeline = pipeline_of(Kept())
        frames = stream(Script(at_ms=10_000), 20, *[20] * 100).frames
        for number in range(1, int(200 / seconds)):
            at = number * seconds
            if at > 9 and frames:
                pipeline.feed(frames)
                pipeline.counter.settle_all()
                frames = []
            busy = min(max(at - 10.0, 0.0), 2.1)
            used = sample(at, energy_joules=100.0 * at + 300.0 * busy, utilization=0.5)
            pipeline.devices_said([used], FRESH, round(at * 1000 * MS))
        (found,) = told(pipeline, 150_000)
        assert (found.joules is not None) is known
        if known:
            assert found.joules == pytest.approx(300 * 2.1, rel=0.1)

"""The comparison can fail: one instant shifted, one chunk or token less, and it says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.accuracy.asks import CHAT, Ask, mix
from benchmarks.accuracy.client import Seen
from benchmarks.accuracy.compare import CLIENT_LATE, MERGED, RELAY_LATE, Verdict, compare
from benchmarks.accuracy.recorded import Flow, recording
from benchmarks.accuracy.said import said
from benchmarks.accuracy.wire import Answer, Read
from observed import DONE, MS, STREAM_END, STREAM_HEAD, Script, chunk, delta, request, usage_event

from sidelight_sidecar.frames.codec import ENGINE_BYTES
from sidelight_sidecar.frames.file import FrameFileWriter
from sidelight_sidecar.observer.exchange import Exchange

BODY = b'{"stream":true}'
STREAM = (
    STREAM_HEAD, delta(role="assistant", content=None), delta(content="Hel"), delta(content="lo"),
    delta(content=" you"), delta(content="!"), delta("stop"), usage_event(11, 4),
    DONE + STREAM_END,
)  # fmt: skip
FIRST, SECOND, LAST = 2, 3, 5
"""Which of the reads bring output: the first, the second, the last."""
DELIVERY_NS = 60_000
Case = tuple[Seen, Flow, Exchange]


def read_by_client(script: Script, late_ns: dict[int, int]) -> Seen:
    """The log of a client that got each read of the relay for itself; some read late."""
    sent_ns = script.frames[1][2]
    seen = Seen(Ask("chat, streamed", CHAT, BODY), 1, 1, Answer(0))
    seen.sending_ns, seen.sent_ns = sent_ns - DELIVERY_NS, sent_ns
    seen.relay_ns = 2 * DELIVERY_NS
    reads = [frame for frame in script.frames if frame[1] == ENGINE_BYTES]
    received = 0
    for number, (_, _, at_ns, _, data) in enumerate(reads):
        received += len(data)
        kernel_ns = at_ns + DELIVERY_NS
        read = Read(kernel_ns + DELIVERY_NS + late_ns.get(number, 0), kernel_ns, received)
        seen.reads.append(read)
        seen.answer.feed(data, read)
    return seen


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A stream whose client and sidecar agree: 10 ms between all that happens."""
    return make(tmp_path)


def make(folder: Path, late_ns: dict[int, int] | None = None) -> Case:
    """The same, with a client that reads some late."""
    script = Script().client(request(BODY)).engine(*STREAM).close()
    script.frames[0] = (*script.frames[0][:4], b'{"client":"127.0.0.1:1","engine":"127.0.0.1:2"}')
    with (folder / f"{time.monotonic_ns()}").open("xb+") as file:
        FrameFileWriter(file, monotonic_ns=0, wall_ns=0).write(script.encoded())
    (flow,) = recording(Path(file.name)).flows
    return read_by_client(script, late_ns or {}), flow, flow.exchanges[0]


def test_equal_views_are_found_equal(case: Case) -> None:
    """All three figures, each within 1 ms; nothing wrong."""
    verdict = compare(*case)
    assert verdict.wrong == []
    assert [(f.name, f.verdict) for f in verdict.figures] == [
        ("TTFT", "within"), ("TPOT", "within"), ("E2E", "within"),
    ]  # fmt: skip
    assert [round(f.sidecar / MS, 6) for f in verdict.figures] == [30, 10, 90]


def shifted(field: str, by_ns: int) -> Callable[[Exchange], None]:
    """One instant of the sidecar's, off by so much."""
    return lambda exchange: setattr(exchange, field, getattr(exchange, field) + by_ns)


def given(field: str, value: object) -> Callable[[Exchange], None]:
    """One fact of the sidecar's, replaced."""
    return lambda exchange: setattr(exchange, field, value)


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            shifted(f"{name}_ns", by * 5 * MS)
            for name in ("start", "first_output", "last_output", "stop")
            for by in (1, -1)
        ),
        shifted("events", -1), shifted("arrivals", -1), shifted("output_tokens", 1),
        shifted("prompt_tokens", -1), shifted("bytes_out", 1), shifted("bytes_in", 1),
        given("finishes", {0: "length"}), given("finishes", {}), given("tool_calls", 1),
        given("code", 500), given("error", "server_error"), given("stream", False),
        given("response_id", "another"), given("model", ""), given("choices", 2),
    ],
)  # fmt: skip
def test_anything_that_is_off_is_found(case: Case, spoil: Callable[[Exchange], None]) -> None:
    """5 ms on any instant, one of any count, another word: wrong."""
    seen, flow, exchange = case
    spoil(exchange)
    assert compare(seen, flow, exchange).wrong


def test_relay_with_a_wrong_clock_is_found(case: Case) -> None:
    """All instants of the sidecar agree with each other, and are 5 ms off all the same."""
    seen, flow, exchange = case
    flow.passed = [passed._replace(at_ns=passed.at_ns - 5 * MS) for passed in flow.passed]
    for field in ("first_output_ns", "last_output_ns", "stop_ns", "start_ns"):
        shifted(field, -5 * MS)(exchange)
    assert compare(seen, flow, exchange).wrong


def test_lost_chunk_is_found(case: Case) -> None:
    """One that the client had, and the sidecar did not count."""
    seen, flow, exchange = case
    answer = Answer(0)
    for number, read in enumerate(seen.reads):
        answer.feed(delta(content="?") if number == SECOND else STREAM[number], read)
        if number == SECOND:
            answer.feed(STREAM[number], read)
    seen.answer = answer
    assert any("output events" in line for line in compare(seen, flow, exchange).wrong)


def causes(verdict: Verdict) -> dict[str, tuple[str, str]]:
    """Verdict and cause of each figure."""
    return {figure.name: (figure.verdict, figure.cause) for figure in verdict.figures}


def test_client_that_read_late_is_no_fault_of_the_sidecar(tmp_path: Path) -> None:
    """Its kernel had the bytes in time: the difference is accounted for, and to whom is said."""
    verdict = compare(*make(tmp_path, {FIRST: 5 * MS}))
    assert verdict.wrong == []
    assert causes(verdict)["TTFT"] == ("accounted", CLIENT_LATE)
    assert causes(verdict)["E2E"][0] == "within"


def test_reads_in_which_the_client_got_several_at_once(case: Case) -> None:
    """The kernel keeps only the last one's time: what the relay saw between them is taken away."""
    seen, flow, exchange = case
    answer, reads = Answer(0), []
    for number, read in enumerate(seen.reads):
        if number == FIRST:
            continue
        data = STREAM[number] if number != SECOND else STREAM[FIRST] + STREAM[SECOND]
        answer.feed(data, read)
        reads.append(read)
    seen.answer, seen.reads = answer, reads
    verdict = compare(seen, flow, exchange)
    assert verdict.wrong == []
    assert causes(verdict)["TTFT"] == ("accounted", MERGED)


def test_relay_that_could_not_have_been_late_is_not_excused(case: Case) -> None:
    """5 ms from sending to its read are accounted for by 5 ms on or for a core, and by no less."""
    seen, flow, exchange = case
    seen.sending_ns -= 5 * MS
    seen.sent_ns -= 5 * MS
    assert compare(seen, flow, exchange).wrong
    seen.relay_ns = 6 * MS
    verdict = compare(seen, flow, exchange)
    assert verdict.wrong == []
    assert causes(verdict)["TTFT"] == ("accounted", RELAY_LATE)


def test_answers_are_read_alike_however_they_are_cut() -> None:
    """The client's own reader: every event at the end of its blank line, byte by byte as whole."""
    raw = b"".join(STREAM)
    whole, cut = Answer(0), Answer(0)
    whole.feed(raw, Read(1, 1, len(raw)))
    for place in range(len(raw)):
        cut.feed(raw[place : place + 1], Read(place + 1, place + 1, place + 1))
    assert whole.done
    assert cut.done
    one, other = said(whole), said(cut)
    assert one.outputs != other.outputs
    assert [end for _, end in other.outputs] == [read.user_ns for read, _ in other.outputs]
    assert len(one.outputs) == len(other.outputs) == 4
    assert (one.finishes, one.output_tokens) == (other.finishes, other.output_tokens) == (
        {0: "stop"}, 4,
    )  # fmt: skip


def test_trickled_output_is_one_event_when_it_is_whole() -> None:
    """Half an event is none; an empty token is output, a role alone is none."""
    answer = Answer(0)
    parts = [STREAM_HEAD, delta(role="assistant", content=""), delta(content="")[:20]]
    for number, part in enumerate(parts):
        answer.feed(part, Read(number, number, 0))
    assert said(answer).outputs == []
    answer.feed(delta(content="")[20:], Read(9, 9, 0))
    assert [read.user_ns for read, _ in said(answer).outputs] == [9]
    answer.feed(chunk(b": ping\n\n"), Read(10, 10, 0))
    assert said(answer).arrivals == 1


def test_mix_is_the_same_for_a_seed_and_has_every_kind() -> None:
    """A round has all kinds; another seed asks for something else."""
    assert mix(50, 1) == mix(50, 1) != mix(50, 2)
    kinds = {ask.kind.partition(":")[0] for ask in mix(32, 1)}
    assert len(kinds) == 13
    assert sum(ask.leaves for ask in mix(32, 1)) == 3

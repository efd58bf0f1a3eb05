"""Requests judged by objectives: what is good, what is bad, and what says nothing."""

from __future__ import annotations

import pytest
from observed import CHAT_STREAM, MS, Kept, Script, answer, pipeline_of, request

from sidelight_contract.config import SidecarConfig
from sidelight_contract.slo import FAULTS, SLOS, SloSettings
from sidelight_contract.summary import MAX_SUMMARY_BYTES, decode_counted, encode_summary
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.slo import judge

SECOND = 1_000_000_000
ALL = SloSettings(ttft=1.0, tpot=0.1, e2e=10.0, errors=list(FAULTS))


def exchange(
    *,
    error: str = "",
    code: int = 200,
    stream: bool = True,
    first: float = 0.0,
    last: float = 0.0,
    tokens: int | None = None,
    end: float = 5.0,
    left: float = 0.0,
    operation: str = "chat",
) -> Exchange:
    """One that began at zero; times are seconds, 0: it never came to that."""
    made = Exchange(1, 0)
    made.operation, made.error, made.code = operation, error, code
    made.stream, made.stream_asked = stream, True
    made.request_end_ns = 1
    made.first_output_ns, made.last_output_ns = int(first * SECOND), int(last * SECOND)
    made.arrivals, made.choices, made.output_tokens = (2 if last else 1) * bool(first), 1, tokens
    made.stop_ns, made.left_ns = int(end * SECOND), int(left * SECOND)
    return made


def judged(what: Exchange, settings: SloSettings = ALL) -> dict[str, str]:
    return {name: "good" if c.good else "bad" for name, c in judge(what, settings).items()}


GOOD, BAD = "good", "bad"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        pytest.param(
            exchange(first=1.0, last=2.0, tokens=11, end=10.0),
            {"ttft": GOOD, "tpot": GOOD, "e2e": GOOD, "errors": GOOD, "all": GOOD},
            id="on the threshold is good",
        ),
        pytest.param(
            exchange(first=1.001, last=2.0, tokens=11),
            {"ttft": BAD, "tpot": GOOD, "e2e": GOOD, "errors": GOOD, "all": BAD},
            id="one that is broken breaks the whole",
        ),
        pytest.param(
            exchange(stream=False),
            {"e2e": GOOD, "errors": GOOD, "all": GOOD},
            id="no stream, no times of streams",
        ),
        pytest.param(
            exchange(first=0.5),
            {"ttft": GOOD, "e2e": GOOD, "errors": GOOD, "all": GOOD},
            id="an engine that says no tokens has no time for each",
        ),
        pytest.param(
            exchange(error="overloaded", code=503, stream=False),
            {"ttft": BAD, "e2e": BAD, "errors": BAD, "all": BAD},
            id="failed before the first token that a stream was asked for",
        ),
        pytest.param(
            exchange(error="stream_error", first=0.5, last=1.0, tokens=9),
            {"ttft": GOOD, "e2e": BAD, "errors": BAD, "all": BAD},
            id="broke in the middle",
        ),
        pytest.param(exchange(error="invalid_request", code=400), {}, id="the client's mistake"),
        pytest.param(
            exchange(error="client_disconnect", code=CLIENT_LEFT, left=0.9, end=5),
            {},
            id="left before anything could be said",
        ),
        pytest.param(
            exchange(error="client_disconnect", code=CLIENT_LEFT, left=1.5, end=1.5),
            {"ttft": BAD, "all": BAD},
            id="left after it had waited too long",
        ),
        pytest.param(
            exchange(error="client_disconnect", code=CLIENT_LEFT, first=0.5, left=2, end=2),
            {"ttft": GOOD},
            id="left after a first token in time",
        ),
        pytest.param(
            exchange(error="client_disconnect", code=CLIENT_LEFT, first=0.5, left=11, end=11),
            {"ttft": GOOD, "e2e": BAD, "all": BAD},
            id="left when it had lasted too long",
        ),
        pytest.param(exchange(operation="other"), {}, id="no inference"),
    ],
)
def test_a_request_is_judged(what: Exchange, expected: dict[str, str]) -> None:
    """The table of docs/slo.md."""
    assert judged(what) == expected


def test_a_client_that_left_while_it_still_sent_waited_for_nobody() -> None:
    """Its own upload was what took so long."""
    what = exchange(error="client_disconnect", code=CLIENT_LEFT, left=60, end=60)
    what.request_end_ns = 0
    assert judged(what) == {}


def test_an_error_that_is_not_listed_counts_nowhere() -> None:
    """Neither as good: a refusal is quick."""
    refused = exchange(error="rate_limited", code=429, stream=False)
    assert judged(refused)["errors"] == BAD
    assert judged(refused, SloSettings(ttft=1.0, errors=["timeout"])) == {}
    assert judged(refused, SloSettings(e2e=1.0)) == {}
    assert judged(exchange(stream=False), SloSettings(ttft=1.0)) == {}


def pipeline(**slo: object) -> Pipeline:
    """One that has seen a good stream, at 1 700 000 000 or so."""
    made = pipeline_of(Kept(), slo=SloSettings(**{"e2e": 10.0, **slo}))  # type: ignore[arg-type]
    made.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    return made


def refuse(made: Pipeline, at_ms: int) -> None:
    made.feed(Script(9, at_ms).client(request()).engine(answer({}, 503)).frames)


def series(made: Pipeline) -> dict[str, float]:
    lines = made.exposition().decode().splitlines()
    return {
        name: float(value)
        for line in lines
        if line.startswith("sidelight_slo_")
        for name, _, value in [line.rpartition(" ")]
    }


def test_metrics_have_both_results_from_the_first_request_on() -> None:
    """A rate sees the first bad request only of a series that was there before it."""
    made = pipeline(errors=list(FAULTS))
    found = series(made)
    of = 'sidelight_slo_requests_total{model="m",operation="chat",result="%s",slo="%s"}'
    assert [found[of % (result, "all")] for result in ("good", "bad")] == [1, 0]
    assert found['sidelight_slo_threshold_seconds{slo="e2e"}'] == 10
    assert found["sidelight_slo_objective_ratio"] == 0.99
    assert len(found) == 3 * 2 + 2


def test_without_objectives_nothing_is_judged_and_there_is_no_series() -> None:
    """As before there were any."""
    made = pipeline_of(Kept())
    made.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    assert series(made) == {}
    assert made.summary(1000 * MS, slo_history=True).slo.revision == ""


def test_other_thresholds_begin_anew_and_another_objective_does_not() -> None:
    """Live, as every setting of the file."""
    made = pipeline(errors=list(FAULTS))
    settings = made.config.slo
    assert settings is not None
    refuse(made, 5000)
    told = made.summary(9000 * MS).slo
    assert told.counts["all"].good == told.counts["all"].bad == 1
    same = SloSettings(e2e=10.0, errors=list(FAULTS), objective=0.5)
    made.reconfigure(SidecarConfig(version=1, slo=same))
    assert made.summary(9000 * MS).slo.counts["all"].good == 1
    assert series(made)["sidelight_slo_objective_ratio"] == 0.5
    made.reconfigure(SidecarConfig(version=1, slo=SloSettings(e2e=0.001)))
    anew = made.summary(9000 * MS, slo_history=True).slo
    assert (anew.counts, anew.history.rings) == ({}, {})
    assert anew.revision != told.revision
    assert 1_700_000_005 <= anew.since <= 1_700_000_006
    made.reconfigure(SidecarConfig(version=1))
    assert series(made) == {}


def test_rings_are_told_to_who_asks_and_survive_the_controllers_reading() -> None:
    """Without being asked for they cost nobody anything."""
    made = pipeline()
    assert b'"rings"' not in encode_summary(made.summary(1000 * MS))
    told = made.summary(1000 * MS, slo_history=True)
    read = decode_counted(encode_summary(told)).slo
    assert read == told.slo
    assert read.history.over(10, 1_700_000_001)["all"].good == 1
    assert read.history.over(10, 1_700_000_301) == {}
    assert read.history.over(900, 1_700_000_301)["all"].good == 1


def test_what_is_told_is_bounded_however_long_it_runs() -> None:
    """Two days with a request of every kind each second or so."""
    made = pipeline_of(Kept(), slo=ALL)
    for second in range(0, 2 * 86_400, 7):
        made.slo.finished(exchange(first=0.5, last=1.0, tokens=9, end=second + 5.0))
    told = made.summary(2 * 86_400 * SECOND, slo_history=True)
    assert set(told.slo.counts) == set(SLOS)
    assert len(encode_summary(told)) < MAX_SUMMARY_BYTES / 100

"""Metrics and summary: the same numbers, bounded labels, a window that moves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from observed import CHAT_STREAM, MS, Kept, Script, answer, observed, pipeline_of, request, usage
from prometheus_client.parser import text_string_to_metric_families

from sidelight_contract.config import SidecarConfig
from sidelight_contract.summary import decode_summary, encode_summary
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.pipeline import Pipeline

ROOT = Path(__file__).parents[2]


def samples(pipeline: Pipeline) -> dict[str, float]:
    """Each sample's value, summed over its labels."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(pipeline.exposition().decode()):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                values[sample.name] = values.get(sample.name, 0) + sample.value
    return values


def unary(model: str, status: int = 200) -> bytes:
    """An answer of this model."""
    return answer({"model": model, "choices": [], "usage": usage(2, 5)}, status)


def some_traffic() -> Pipeline:
    """Streams, a plain answer, an error, a hang-up."""
    pipeline = pipeline_of(Kept())
    for number in range(4):
        script = Script(number, at_ms=100 * number).client(request()).engine(*CHAT_STREAM)
        pipeline.feed(script.close().frames)
    pipeline.feed(Script(8, 600).client(request(b"{}")).engine(unary("m")).frames)
    pipeline.feed(Script(9, 700).client(request(b"{}")).engine(unary("x", 400)).frames)
    gone = Script(10, 800).client(request()).engine(*CHAT_STREAM[:3])
    pipeline.feed(gone.add(codec.RESET, b"client").frames)
    return pipeline


def test_every_metric_is_in_the_docs_as_the_code_has_it() -> None:
    """docs/metrics.md is what `make generate` writes; no `_created` series beside them."""
    made = subprocess.run(
        [sys.executable, str(ROOT / "hack" / "metrics_doc.py")], capture_output=True, check=True
    )
    assert (ROOT / "docs" / "metrics.md").read_bytes() == made.stdout
    assert b"sidelight_time_to_first_token_seconds" in made.stdout
    assert "_created" not in some_traffic().exposition().decode()


def test_summary_decodes_and_equals_the_metrics() -> None:
    """Two consumers of the same exchanges cannot disagree."""
    pipeline = some_traffic()
    summary = decode_summary(encode_summary(pipeline.summary(1000 * MS)))
    values = samples(pipeline)
    total = summary.total
    assert sum(t.requests for t in total) == values["sidelight_requests_total"] == 7
    assert sum(t.tokens.output for t in total) == values["sidelight_output_tokens_total"]
    assert sum(t.tokens.prompt for t in total) == values["sidelight_prompt_tokens_total"]
    assert sum(t.tokens.cached_prompt for t in total) == 16
    estimated = sum(t.tokens.estimated_output for t in total)
    assert estimated == values["sidelight_tokens_estimated_total"] == 1
    for name, metric in (
        ("time_to_first_token", "sidelight_time_to_first_token_seconds"),
        ("time_per_output_token", "sidelight_time_per_output_token_seconds"),
        ("inter_chunk_latency", "sidelight_inter_chunk_latency_seconds"),
        ("duration", "sidelight_request_duration_seconds"),
    ):
        sketches = [getattr(t, name) for t in total]
        assert sum(s.count for s in sketches) == values[f"{metric}_count"]
        assert abs(sum(s.sum_ns for s in sketches) / 1e9 - values[f"{metric}_sum"]) < 1e-6
    assert sum(sum(t.errors.values()) for t in total) == values["sidelight_request_errors_total"]
    assert summary.window == total


def test_requests_in_flight_are_there_until_they_end() -> None:
    """One that waits, then none."""
    pipeline = pipeline_of(Kept())
    script = Script().client(request())
    pipeline.feed(script.frames)
    assert samples(pipeline)["sidelight_requests_in_flight"] == 1
    pipeline.feed(Script.engine(Script(7, 50), *CHAT_STREAM).frames[1:])
    assert samples(pipeline)["sidelight_requests_in_flight"] == 0


def test_models_beyond_the_limit_are_other() -> None:
    """Whatever an engine answers, labels stay few."""
    pipeline = pipeline_of(Kept(), max_model_labels=2)
    for number, model in enumerate(["a", "b", "c", "d", "a", "x" * 200, ""]):
        script = Script(number).client(request(b"{}")).engine(unary(model))
        pipeline.feed(script.frames)
    requests = {t.model: t.requests for t in pipeline.summary(1000 * MS).total}
    assert requests == {"a": 2, "b": 1, "_other": 3, "_unknown": 1}


def test_model_of_a_failed_lookup_is_unknown() -> None:
    """An error may repeat what the client made up."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request(b"{}")).engine(unary("../etc", 404)).frames)
    assert [t.model for t in pipeline.summary(1000 * MS).total] == ["_unknown"]


def test_window_forgets_and_total_does_not() -> None:
    """Ten seconds later, with a window of ten seconds."""
    pipeline = pipeline_of(Kept(), window_seconds=10)
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).frames)
    assert pipeline.summary(1000 * MS).window[0].requests == 1
    later = pipeline.summary(20_000 * MS)
    assert later.window == []
    assert later.total[0].requests == 1
    assert 9 < later.window_seconds <= 10


def test_window_is_of_the_configured_length_from_when_it_was_configured() -> None:
    """A new length begins anew; the total goes on."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).frames)
    pipeline.reconfigure(SidecarConfig(version=1, window_seconds=30))
    summary = pipeline.summary(2000 * MS)
    assert summary.window == []
    assert summary.total[0].requests == 1
    assert 1.8 < summary.window_seconds < 2
    pipeline.feed(Script(1, 2000).client(request()).engine(*CHAT_STREAM).frames)
    assert pipeline.summary(3000 * MS).window[0].requests == 1


def test_relay_counters_are_the_newest_that_can_be_read() -> None:
    """A damaged stats frame changes nothing."""
    pipeline = pipeline_of(Kept())
    counters = json.dumps({"flows_opened": 5, "gap_bytes": 9, "from_the_future": 1}).encode()
    for payload in (counters, b'{"flows_opened":', b'{"flows_opened":"x"}'):
        pipeline.feed([(0, codec.STATS, 1, 0, payload)])
    assert samples(pipeline)["sidelight_relay_flows_opened_total"] == 5
    assert pipeline.summary(2).relay.gap_bytes == 9


def test_exemplars_are_in_openmetrics_alone() -> None:
    """The trace id of the request's traceparent."""
    pipeline = pipeline_of(Kept())
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = request().replace(b"Host: x", b"traceparent: " + trace)
    pipeline.feed(Script().client(traced).engine(*CHAT_STREAM).frames)
    exemplar = b'# {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.03'
    assert exemplar in pipeline.exposition(openmetrics=True)
    assert b"trace_id" not in pipeline.exposition()


def test_unread_responses_are_counted_by_what_failed() -> None:
    """Not JSON though it says so."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(Script().client(request(b"{}")).engine(answer(b"{oops")).frames)
    assert b'sidelight_parser_errors_total{protocol="json"} 1.0' in pipeline.exposition()


def test_other_paths_have_status_and_time_only() -> None:
    """No dialect knows them; a failure is one all the same."""
    kept = observed(Script().client(request(path="/v2/x")).engine(answer({}, 500)))
    exchange = kept.exchanges[0]
    assert (exchange.operation, exchange.error) == ("other", "server_error")
    assert not exchange.usage_missing


def test_statuses_without_end_cost_no_more_series() -> None:
    """Past twenty of them the label is `_other`, in metrics and summary alike."""
    pipeline = pipeline_of(Kept())
    for number in range(100):
        script = Script(number).client(request(b"{}")).engine(answer({}, 200 + number))
        pipeline.feed(script.close().frames)
    lines = pipeline.exposition().decode().splitlines()
    codes = [line for line in lines if line.startswith("sidelight_requests_total{")]
    assert len(codes) <= 2 * 21
    told: dict[str, int] = {}
    for traffic in pipeline.summary(1).total:
        for code, count in traffic.codes.items():
            told[code] = told.get(code, 0) + count
    assert len(told) == 21
    assert told["_other"] == 80

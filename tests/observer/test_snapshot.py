"""The metrics as they are handed over: the very values of /metrics, and those that OpenTelemetry's
conventions ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st
from observed import MS, Kept, pipeline_of
from prometheus_client.parser import text_string_to_metric_families

from sidelight_contract.slo import SloSettings
from sidelight_sidecar.observer.capture.snapshot import snapshot_of
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.metrics import gen_ai
from sidelight_sidecar.observer.metrics.exchanges import (
    DURATION_BUCKETS,
    FIRST_TOKEN_BUCKETS,
    PER_TOKEN_BUCKETS,
)
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import Settings, encode, to_capture
from sidelight_sidecar.records.metrics import Family, Snapshot

UNIX_NS = 1_700_000_000_000_000_000
Sample = tuple[str, frozenset[tuple[str, object]]]


def stream(
    *,
    model: str = "llama",
    operation: str = "chat",
    first_ms: int = 100,
    last_ms: int = 500,
    error: str = "",
    tokens: tuple[int, int] | None = (12, 5),
    trace: str = "",
) -> Exchange:
    """A stream of two reads."""
    made = Exchange(1, MS)
    made.method, made.operation, made.generating = "POST", operation, operation != OTHER
    made.in_flight_as, made.dialect, made.trace_id = operation, "openai", trace
    made.model, made.code, made.stream, made.stream_asked = model, 200, True, True
    made.error = error
    made.request_end_ns, made.response_start_ns = 2 * MS, 3 * MS
    made.arrival(MS + first_ms * MS, 1)
    made.arrival(MS + last_ms * MS, 1)
    made.choice(0)
    made.stop_ns, made.overhead_ns = MS + (last_ms + 10) * MS, 1000
    if tokens is not None:
        made.prompt_tokens, made.output_tokens = tokens
    return made


def told_of(*exchanges: Exchange) -> Pipeline:
    """A pipeline that followed them."""
    pipeline = pipeline_of(Kept(), slo=SloSettings(ttft=1.0))
    for one in exchanges:
        pipeline.counter.started(one)
        pipeline.counter.arrived(one, [0.1, 0.2])
        pipeline.counter.finished(one)
    return pipeline


def flat(families: list[Family]) -> Iterator[tuple[Sample, float]]:
    """Samples as Prometheus' text has them."""
    for family in families:
        for point in family.points:
            labels = dict(zip(family.labels, point.labels, strict=True))

            def sample(suffix: str, own: dict[str, str] = labels, **more: object) -> Sample:
                return family.name + suffix, frozenset({**own, **more}.items())  # noqa: B023

            if family.kind in ("counter", "gauge"):
                yield sample(""), point.value
                continue
            yield sample("_sum"), point.value
            yield sample("_count"), point.count
            bounds = [*family.bounds, float("inf")] if family.kind == "histogram" else []
            for bound, below in zip(bounds, accumulate(point.buckets), strict=True):
                yield sample("_bucket", le=bound), below


def exposed(pipeline: Pipeline) -> dict[Sample, float]:
    """What /metrics says."""
    found = {}
    for family in text_string_to_metric_families(pipeline.exposition().decode()):
        for sample in family.samples:
            labels = {k: float(v) if k == "le" else v for k, v in sample.labels.items()}
            found[sample.name, frozenset(labels.items())] = sample.value
    return found


@settings(max_examples=25)
@given(
    st.lists(
        st.builds(
            stream,
            model=st.sampled_from(["llama", 'a"b\\', ""]),
            operation=st.sampled_from(["chat", "embeddings", OTHER]),
            first_ms=st.integers(0, 2000),
            last_ms=st.integers(2000, 90_000),
            error=st.sampled_from(["", "server_error"]),
            tokens=st.one_of(st.none(), st.tuples(st.integers(0, 3000), st.integers(0, 3000))),
            trace=st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c"]),
        ),
        max_size=12,
    )
)
def test_a_snapshot_is_metrics_sample_by_sample(exchanges: list[Exchange]):
    """Counters, gauges, histograms and summaries, with all labels; no more and no less."""
    pipeline = told_of(*exchanges)
    snapshot = snapshot_of(pipeline, UNIX_NS)
    samples = list(flat(snapshot.own))
    assert dict(samples) == exposed(pipeline)
    assert len(samples) == len(dict(samples))


def test_a_snapshot_says_since_when_and_arrives_as_it_was():
    """Through the socket's format."""
    snapshot = snapshot_of(told_of(stream()), UNIX_NS + 5)
    assert (snapshot.start_unix_ns, snapshot.unix_ns) == (UNIX_NS, UNIX_NS + 5)
    (read,) = to_capture().feed(encode(snapshot))
    assert read == snapshot
    assert not isinstance(read, Settings)


def counted(*exchanges: Exchange) -> Snapshot:
    return snapshot_of(told_of(*exchanges), UNIX_NS)


def points(snapshot: Snapshot, name: str) -> dict[tuple[str, ...], int]:
    """How many values each series has."""
    families = [one for one in snapshot.gen_ai if one.name == name]
    return {tuple(point.labels): point.count for one in families for point in one.points}


def test_the_conventions_times_are_of_requests_that_went_well():
    """The duration is of all, and says what failed; Prometheus has every time to first token."""
    failed = stream(error="stream_error")
    snapshot = counted(stream(), stream(), failed)
    llama = ("llama", "chat", "openai")
    assert points(snapshot, "gen_ai.server.request.duration") == {
        (*llama, ""): 2,
        (*llama, "stream_error"): 1,
    }
    assert points(snapshot, "gen_ai.server.time_to_first_token") == {llama: 2}
    assert points(snapshot, "gen_ai.server.time_per_output_token") == {llama: 2}
    (ours,) = [one for one in snapshot.own if one.name == "sidelight_time_to_first_token_seconds"]
    assert [point.count for point in ours.points] == [3]


def test_tokens_are_the_engines_own_count_or_none():
    """The conventions forbid a guess."""
    snapshot = counted(stream(), stream(tokens=None))
    name = "gen_ai.client.token.usage"
    llama = ("llama", "chat", "openai")
    assert points(snapshot, name) == {(*llama, "input"): 1, (*llama, "output"): 1}
    (tokens,) = [one for one in snapshot.gen_ai if one.name == name]
    assert [point.value for point in tokens.points] == [12.0, 5.0]
    assert tokens.bounds[0] == 1
    assert tokens.bounds[-1] == 67_108_864


def test_what_is_no_inference_is_in_none_of_the_conventions_metrics():
    """A health check has no time to first token."""
    assert counted(stream(operation=OTHER)).gen_ai == []


def test_the_conventions_buckets_are_among_ours():
    """So both say the same of the same requests, at every bound that both have."""
    assert set(gen_ai.DURATION_BOUNDS) <= set(DURATION_BUCKETS)
    assert set(gen_ai.FIRST_TOKEN_BOUNDS) <= set(FIRST_TOKEN_BUCKETS)
    assert set(gen_ai.PER_TOKEN_BOUNDS) <= set(PER_TOKEN_BUCKETS)

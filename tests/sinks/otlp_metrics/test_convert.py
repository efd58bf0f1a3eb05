"""What becomes of a snapshot, read as a backend would read it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from receiver import plain

from sidelight_sidecar.capture.sinks.otlp_metrics.convert import (
    gen_ai_attributes,
    requests_of,
    unit_of,
)
from sidelight_sidecar.records.metrics import Family, Point, Snapshot
from sidelight_sidecar.records.record import Origin

START, NOW = 1_764_000_000_000_000_000, 1_764_000_030_000_000_000
ORIGIN = Origin("ml", "chat-0", "chat", "v1", "VLLM", "0.1.0")
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def counter(name: str, *points: Point, labels: tuple[str, ...] = ("model",)) -> Family:
    return Family(name, "counter", "What it is.", list(labels), [], list(points))


def read(*own: Family, gen_ai: tuple[Family, ...] = (), most: int = 4 << 20) -> list[Metric]:
    """The metrics of all requests."""
    requests = requests_of(
        Snapshot(START, NOW, list(own), list(gen_ai)), ORIGIN, {"service.name": "chat"}, most
    )
    return [metric for one in requests for metric in metrics_in(one)]


def metrics_in(request: bytes) -> list[Metric]:
    (resource,) = ExportMetricsServiceRequest.FromString(request).resource_metrics
    (scope,) = resource.scope_metrics
    assert (scope.scope.name, scope.scope.version) == ("sidelight", "0.1.0")
    assert plain(resource.resource.attributes) == {"service.name": "chat"}
    return list(scope.metrics)


def test_a_counter_is_a_monotonic_cumulative_sum_since_the_observer_began():
    """By the name, labels and value of /metrics."""
    (metric,) = read(counter("sidelight_requests_total", Point(["m"], 7.0), Point(["n"], 0.5)))
    assert (metric.name, metric.description) == ("sidelight_requests_total", "What it is.")
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == CUMULATIVE
    assert [(plain(p.attributes), p.as_double) for p in metric.sum.data_points] == [
        ({"model": "m"}, 7.0),
        ({"model": "n"}, 0.5),
    ]
    assert {(p.start_time_unix_nano, p.time_unix_nano) for p in metric.sum.data_points} == {
        (START, NOW)
    }


@pytest.mark.parametrize(
    "name",
    [
        "sidelight_engine_prompt_tokens_total", "sidelight_relay_flows_opened_total",
        "sidelight_capture_records_total", "sidelight_sink_records_total",
        "sidelight_process_cpu_seconds_total",
    ],
)  # fmt: skip
def test_since_when_others_count_is_not_claimed(name: str):
    """The engine and the other processes began at another time than the observer."""
    (metric,) = read(counter(name, Point(["m"], 7.0)))
    (point,) = metric.sum.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano) == (0, NOW)


def test_a_gauge_is_what_it_is_now():
    """It has no start."""
    (metric,) = read(Family("sidelight_requests_in_flight", "gauge", "", [], [], [Point([], 3.0)]))
    (point,) = metric.gauge.data_points
    assert (point.as_double, point.start_time_unix_nano, point.time_unix_nano) == (3.0, 0, NOW)
    assert not point.attributes


def test_a_histogram_has_its_bounds_and_what_each_bucket_has():
    """Both have the upper bound in the bucket, so nothing moves."""
    name = "sidelight_request_duration_seconds"
    point = Point(["m"], 2.25, 6, [1, 2, 3])
    (metric,) = read(Family(name, "histogram", "", ["model"], [0.5, 1.0], [point]))
    assert metric.unit == "s"
    assert metric.histogram.aggregation_temporality == CUMULATIVE
    (found,) = metric.histogram.data_points
    assert list(found.explicit_bounds) == [0.5, 1.0]
    assert list(found.bucket_counts) == [1, 2, 3]
    assert (found.count, found.sum) == (6, 2.25)
    assert (found.start_time_unix_nano, found.time_unix_nano) == (START, NOW)


def test_a_summary_has_count_and_sum():
    """Without quantiles, which the sidecar has none of."""
    name = "sidelight_opaque_connection_duration_seconds"
    (metric,) = read(Family(name, "summary", "", ["kind"], [], [Point(["x"], 4.5, 3)]))
    (found,) = metric.summary.data_points
    assert (found.count, found.sum, list(found.quantile_values)) == (3, 4.5, [])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(value: float):
    """A backend that keeps JSON refuses the whole request for it."""
    family = Family("sidelight_x", "gauge", "", ["a"], [], [Point(["b"], value), Point(["c"], 1.0)])
    (metric,) = read(family)
    assert [plain(point.attributes) for point in metric.gauge.data_points] == [{"a": "c"}]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("sidelight_time_to_first_token_seconds", "s"),
        ("sidelight_process_cpu_seconds_total", "s"),
        ("sidelight_relay_bytes_to_client_total", "By"),
        ("sidelight_process_resident_memory_bytes", "By"),
        ("sidelight_engine_kv_cache_usage_ratio", "1"),
        ("sidelight_output_tokens_total", "{token}"),
        ("sidelight_requests_total", ""),
        ("sidelight_tokenizer_waiting", ""),
    ],
)
def test_the_unit_is_the_names(name: str, unit: str):
    """A count of something has none: with `1` a name would get `_ratio` in Prometheus."""
    assert unit_of(name) == unit


def gen_ai(name: str, label: str, value: str, *, api: str = "openai") -> Family:
    point = Point(["llama", "chat", api, value], 2.0, 1, [1, 0])
    return Family(name, "histogram", "", ["model", "operation", "api", label], [5.0], [point])


def test_the_conventions_metrics_have_the_conventions_attributes_and_units():
    """Duration with what failed, tokens with whose they are."""
    duration, tokens = read(
        gen_ai=(
            gen_ai("gen_ai.server.request.duration", "error", "server_error"),
            gen_ai("gen_ai.client.token.usage", "token", "input"),
        )
    )
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "llama",
        "gen_ai.response.model": "llama",
    }
    assert (duration.unit, tokens.unit) == ("s", "{token}")
    (point,) = duration.histogram.data_points
    assert plain(point.attributes) == {**common, "error.type": "server_error"}
    assert point.start_time_unix_nano == START
    (point,) = tokens.histogram.data_points
    assert plain(point.attributes) == {**common, "gen_ai.token.type": "input"}


@pytest.mark.parametrize(
    ("engine", "labels", "expected"),
    [
        ("Auto", {"operation": "messages", "api": "anthropic"}, ("chat", "anthropic")),
        ("Auto", {"operation": "responses", "api": "openai-responses"}, ("chat", "openai")),
        ("Auto", {"operation": "infer", "api": "kserve"}, ("infer", "_OTHER")),
        ("Ollama", {"operation": "generate", "api": "ollama"}, ("text_completion", "ollama")),
    ],
)
def test_operation_and_provider_are_those_of_spans(
    engine: str, labels: dict[str, str], expected: tuple[str, str]
):
    """So that a backend joins both; a model that is not known is not named."""
    found = gen_ai_attributes({"model": "_unknown", "error": "", **labels}, Origin(engine=engine))
    assert set(found) == {"gen_ai.operation.name", "gen_ai.provider.name"}
    assert (found["gen_ai.operation.name"], found["gen_ai.provider.name"]) == expected


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.tuples(NAMES, st.floats(0, 1e12)), max_size=5), st.booleans()),
        max_size=8,
    ),
    st.integers(1, 40_000),
)
def test_requests_of_whatever_size_have_all_metrics_once(
    families: list[tuple[list[tuple[str, float]], bool]], most: int
):
    """In their order, and each within the size unless it is alone."""
    own = [
        counter(f"sidelight_{number}_total", *(Point([text], value) for text, value in points))
        for number, (points, _) in enumerate(families)
    ]
    requests = list(
        requests_of(Snapshot(START, NOW, own, []), ORIGIN, {"service.name": "chat"}, most)
    )
    found: list[tuple[str, list[tuple[dict[str, Any], float]]]] = []
    for request in requests:
        metrics = metrics_in(request)
        assert len(request) <= most or len(metrics) == 1
        found += [
            (one.name, [(plain(p.attributes), p.as_double) for p in one.sum.data_points])
            for one in metrics
        ]
    assert found == [
        (one.name, [({"model": p.labels[0]}, p.value) for p in one.points]) for one in own
    ]


def test_large_metrics_go_in_several_requests_each_within_the_size():
    """A collector takes 4 MiB by gRPC, and refuses what is more as a whole."""
    own = [
        counter(f"sidelight_{number}_total", *(Point([f"m{n:020}"], n) for n in range(700)))
        for number in range(5)
    ]
    snapshot = Snapshot(START, NOW, own, [])
    requests = list(requests_of(snapshot, ORIGIN, {"service.name": "chat"}, 64 << 10))
    assert [len(metrics_in(request)) for request in requests] == [1] * 5
    assert all(32 << 10 < len(request) <= 64 << 10 for request in requests)

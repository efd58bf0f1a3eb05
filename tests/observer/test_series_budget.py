"""How many series a sidecar has at most: every label at the most values that it may have.

The PodMonitor's `sampleLimit` has to hold them: a scrape beyond it is lost as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from devices import ALL, FRESH, SECOND, sample
from observed import MS, Kept, pipeline_of
from prometheus_client.parser import text_string_to_metric_families

from sidelight_contract.gpu import Energy, Mean
from sidelight_contract.slo import FAULTS, SloSettings
from sidelight_sidecar.observer.accelerators.intervals import MAX_DEVICES, REASONS
from sidelight_sidecar.observer.accelerators.source import Device
from sidelight_sidecar.observer.app import register_devices
from sidelight_sidecar.observer.capture.measuring import MAX_BYTES
from sidelight_sidecar.observer.capture.snapshot import snapshot_of
from sidelight_sidecar.observer.dialects import api_routes, native_routes
from sidelight_sidecar.observer.dialects.finish import NORMAL
from sidelight_sidecar.observer.energy.told import Estimate, Fitted, Outcome, Told
from sidelight_sidecar.observer.engine_times import EngineTimes
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import MAX_FURTHER
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import encode

MONITOR = Path(__file__).parents[2] / "helm/sidelight/templates/podmonitor.yaml"
SLO = SloSettings(ttft=1.0, tpot=1.0, e2e=1.0, errors=list(FAULTS))
TABLES = (api_routes, native_routes)
OPERATIONS = sorted(
    {
        *(route.operation for table in TABLES for route in table.EXACT.values()),
        *(route.operation for table in TABLES for _, route in table.PATTERNS),
        *(operation for table in TABLES for operation, _ in table.SHARED.values()),
        OTHER,
    }
)
ERRORS = (
    *FAULTS, "invalid_request", "context_length", "auth", "not_found", "client_disconnect",
    "_OTHER",
)  # fmt: skip
USUAL_CODES = (200, 400, 401, 404, 413, 422, 429, 500, 502, 503, 504)
MADE_UP_CODES = tuple(range(601, 615))


def exchange(model: str, operation: str) -> Exchange:
    """A stream that has all that can be measured."""
    made = Exchange(1, MS)
    made.method, made.operation, made.generating = "POST", operation, operation != OTHER
    made.model, made.code, made.stream, made.stream_asked = model, 200, True, True
    made.request_end_ns, made.response_start_ns, made.reasoned = 2 * MS, 3 * MS, True
    made.arrival(4 * MS, 1)
    made.first_visible_ns = 5 * MS
    made.arrival(6 * MS, 1)
    made.choice(0)
    made.stop_ns, made.overhead_ns = 7 * MS, 1000
    made.prompt_tokens, made.output_tokens = 10, 5
    made.engine_times = EngineTimes(1, 2, 3)
    made.tool_calls = 1
    return made


def everything(model: str, operation: str, codes: tuple[int, ...]) -> Iterator[Exchange]:
    """Exchanges that bring out every label of a model and operation."""
    for code in codes:
        for stream in (True, False):
            made = exchange(model, operation)
            made.code, made.stream = code, stream
            yield made
    for error in ERRORS:
        made = exchange(model, operation)
        made.error = error
        yield made
    for reason in {*NORMAL.values(), "never heard of"}:
        made = exchange(model, operation)
        made.finish(0, reason)
        yield made
    for tokens in ("usage", "tokenized", "estimated"):
        for phase in ("upload", "decode", "unknown", "queued"):
            for stopped in (True, False):
                yield left(exchange(model, operation), tokens, phase, stopped=stopped)
    for tokens in ("tokenized", "estimated"):
        made = left(exchange(model, operation), tokens, "decode", stopped=True)
        made.code = 200
        yield made
    made = exchange(model, operation)
    made.has_output, made.arrivals = False, 0
    yield made


def left(made: Exchange, tokens: str, phase: str, *, stopped: bool) -> Exchange:
    """The same whose client left, and of whose tokens this is known."""
    made.code, made.left_ns, made.engine_end_ns = CLIENT_LEFT, 6 * MS, 8 * MS * stopped
    made.request_end_ns = 0 if phase == "upload" else made.request_end_ns
    made.first_output_ns = made.first_output_ns if phase == "decode" else 0
    if tokens != "usage":
        made.prompt_tokens = made.output_tokens = None
    if tokens == "tokenized":
        made.tokenized_prompt = made.tokenized_output = 7
    return made


Pair = tuple[str, str]


def fed(
    pairs: Iterable[Pair], codes: tuple[int, ...] = USUAL_CODES, *, devices: int = 0
) -> Pipeline:
    """A pipeline that has seen all that there may be of each model and operation."""
    pipeline = pipeline_of(Kept(), slo=SLO)
    register_devices(pipeline, lambda: SECOND)
    if devices:
        see(pipeline, devices)
    for model, operation in pairs:
        tell(pipeline, everything(model, operation, codes))
    return pipeline


def see(pipeline: Pipeline, devices: int) -> None:
    """So many devices that tell all that there may be."""
    samples = [
        sample(
            second, Device(f"GPU-{number}", str(number), shared=number > 0),
            **{**ALL, "xid_errors": dict.fromkeys(range(20), 1)},
            throttled_seconds=dict.fromkeys(REASONS, float(second + 1)),
        )
        for second in range(2)
        for number in range(devices)
    ]  # fmt: skip
    pipeline.devices_said(samples, FRESH, 5 * SECOND)
    estimate = Estimate(1.0, 0.1)
    told = Told(
        by_model={f"m{number}": Energy() for number in range(34)}, level="request",
        by_outcome={outcome.value: 1 for outcome in Outcome}, residual=Mean(1, 1),
        fitted=Fitted(*[estimate] * len(fields(Fitted))),
    )  # fmt: skip
    pipeline.accelerators.energy.told = lambda: told  # type: ignore[method-assign]


def tell(pipeline: Pipeline, exchanges: Iterable[Exchange]) -> None:
    """As the connections would."""
    consumer = pipeline.context.consumer
    for made in exchanges:
        consumer.started(made)
        consumer.arrived(made, made.take_gaps() or [0.01])
        consumer.finished(made)
        pipeline.counter.settle_all()


def series(pipeline: Pipeline) -> int:
    """How many a scrape would bring."""
    return sum(not line.startswith(b"#") for line in pipeline.exposition().splitlines())


def sample_limit() -> int:
    """That of the chart."""
    found = re.search(r"^  sampleLimit: (\d+)$", MONITOR.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def most_pairs(limit: int) -> list[Pair]:
    """As many as are told apart: further operations of some models, one of each other, and others
    and nameless ones in each.
    """
    pairs: list[Pair] = []
    further = MAX_FURTHER
    for model in range(limit):
        mine = OPERATIONS[: 1 + min(further, len(OPERATIONS) - 1)]
        further -= len(mine) - 1
        pairs += [(f"m{model}", operation) for operation in mine]
    return pairs + [(model, operation) for model in ("another", "") for operation in OPERATIONS]


def test_the_most_there_can_be_is_within_one_scrape() -> None:
    """As many models and operations as are told apart, statuses that no server has, and all that is
    measured of each, objectives among it: still less than what a scrape may have.
    """
    pairs = most_pairs(pipeline_of(Kept()).config.max_model_labels)
    pipeline = fed(pairs, (*USUAL_CODES, *MADE_UP_CODES), devices=MAX_DEVICES + 9)
    most = series(pipeline)
    assert 15_000 < most < sample_limit()
    for number, operation in enumerate(OPERATIONS):
        tell(pipeline, everything(f"late-{number}", operation, (700 + number,)))
        tell(pipeline, everything("m31", operation, (800 + number,)))
    assert series(pipeline) == most


def test_the_most_there_can_be_is_within_what_is_handed_over() -> None:
    """Else a sink that takes metrics would have none of a busy pod."""
    pairs = most_pairs(pipeline_of(Kept()).config.max_model_labels)
    pipeline = fed(pairs, (*USUAL_CODES, *MADE_UP_CODES), devices=MAX_DEVICES)
    assert len(encode(snapshot_of(pipeline, 0))) < MAX_BYTES / 4


def test_what_one_model_and_operation_takes() -> None:
    """The number that the budget is made of."""
    one, two = (series(fed([("a", "chat"), ("b", "chat")][:count])) for count in (1, 2))
    assert 250 < two - one < 320


def test_what_one_device_takes() -> None:
    """All that it can tell, with eight XIDs and five reasons that hold its clocks."""
    none, one, two = (series(fed([], devices=count)) for count in (0, 1, 2))
    assert 45 < two - one < 60
    assert 45 < one - none < 260  # with phases and energy, which are the pod's


def test_further_operations_of_many_models_are_counted_as_others() -> None:
    """Every model has one operation of its own; no request is lost for it."""
    pipeline = pipeline_of(Kept())
    for model in range(32):
        for operation in ("chat", "embeddings"):
            tell(pipeline, [exchange(f"m{model}", operation)])
    found = {
        (sample.labels["model"], sample.labels["operation"]): sample.value
        for family in text_string_to_metric_families(pipeline.exposition().decode())
        for sample in family.samples
        if sample.name == "sidelight_requests_total"
    }
    assert sum(found.values()) == 64
    assert all(found[f"m{model}", "chat"] == 1 for model in range(32))
    assert sum(operation == "embeddings" for _, operation in found) == MAX_FURTHER + 1
    assert found["_other", "embeddings"] == 32 - MAX_FURTHER

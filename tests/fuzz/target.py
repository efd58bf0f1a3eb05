"""What must hold for any bytes: `one_input` feeds them to a pipeline and checks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb

from inputs import FLOWS, Settings, decode, frames_of
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidelight_contract.config import SidecarConfig
from sidelight_contract.summary import MAX_SUMMARY_BYTES, decode_summary, encode_summary
from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame
from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.exchange import MAX_CHOICES, Exchange
from sidelight_sidecar.observer.flows import opaque
from sidelight_sidecar.observer.flows.flow import Flow
from sidelight_sidecar.observer.logical import EXPIRY_SECONDS
from sidelight_sidecar.observer.pipeline import Pipeline

POOR_BYTES = 64 << 10
OPERATIONS = frozenset({
    "chat", "text_completion", "responses", "messages", "embeddings", "generate", "infer", "other",
})  # fmt: skip
ERRORS = frozenset({
    "invalid_request", "auth", "not_found", "rate_limited", "overloaded", "timeout",
    "context_length", "server_error", "stream_error", "client_disconnect", "upstream_reset",
    "upstream_connect", "_OTHER",
})  # fmt: skip
UNREAD = frozenset({"json", "sse", "size", "memory", "encoding", "ratio", "protobuf"})
REASONS = frozenset({
    "stop", "length", "tool_calls", "content_filter", "abort", "error", "other",
})  # fmt: skip
PHASES = frozenset({"upload", "queued", "prefill", "decode", "unknown"})
OPAQUE = frozenset({
    value for name, value in vars(opaque).items() if name.isupper() and isinstance(value, str)
})  # fmt: skip
MAX_CODES = 42
_SIGNED = frozenset({"sidelight_reconciliation_difference_ratio"})
_FAMILIES_OF_REASON = {"sidelight_finish_reasons": REASONS, "sidelight_opaque_connections": OPAQUE}


class ViolationError(Exception):
    """Something that must hold does not. The message says what, and nothing of the input."""


def _check(holds: object, what: str) -> None:
    if not holds:
        raise ViolationError(what)


@contextmanager
def faults_come_out() -> Iterator[None]:
    """A flow survives errors in the observer's code; here they are what is looked for."""
    give_up = Flow._give_up

    def raise_faults(self: Flow, kind: str, reason: str, at_ns: int) -> None:
        fault = sys.exception() if reason == opaque.FAULT else None
        if fault is not None:
            where = extract_tb(fault.__traceback__)[-1]
            what = f"{type(fault).__name__} in {Path(where.filename).name}:{where.name}: {fault}"
            raise ViolationError(what) from fault
        give_up(self, kind, reason, at_ns)

    Flow._give_up = raise_faults  # type: ignore[method-assign]
    try:
        yield
    finally:
        Flow._give_up = give_up  # type: ignore[method-assign]


class Ledger:
    """A consumer that holds the pipeline to what `consumers.Consumer` promises."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[str, Exchange]] = {}
        self.finished_exchanges: list[Exchange] = []

    def started(self, exchange: Exchange) -> None:
        """It is new."""
        _check(id(exchange) not in self._states, "started twice")
        self._states[id(exchange)] = "open", exchange

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """It is under way."""
        self._is(exchange, "open")

    def dropped(self, exchange: Exchange) -> None:
        """It was under way."""
        self._is(exchange, "open")
        self._states[id(exchange)] = "dropped", exchange

    def finished(self, exchange: Exchange) -> None:
        """It was under way."""
        self._is(exchange, "open")
        self._states[id(exchange)] = "finished", exchange
        self.finished_exchanges.append(exchange)

    def counted(self, exchange: Exchange) -> None:
        """It has finished, and is counted once."""
        self._is(exchange, "finished")
        self._states[id(exchange)] = "counted", exchange

    def _is(self, exchange: Exchange, state: str) -> None:
        known = self._states.get(id(exchange), ("unknown", exchange))[0]
        _check(known == state, f"an exchange is {known}, not {state}")

    def check(self) -> None:
        """All have ended, and those that generated have been counted."""
        for state, exchange in self._states.values():
            _check(state != "open", "an exchange is still open")
            _check(
                state == "counted" or state == "dropped" or not exchange.generating,
                "an exchange that generated was never counted",
            )


def check_exchange(exchange: Exchange) -> None:
    """What holds for each, whatever it was made of."""
    for name in (
        "prompt_tokens", "output_tokens", "tokenized_output", "cached_tokens", "reasoning_tokens",
        "tool_calls", "server_tool_calls", "bytes_in", "bytes_out", "bytes_after_left", "arrivals",
        "events", "first_arrival_tokens", "estimated_tokens",
    ):  # fmt: skip
        value = getattr(exchange, name)
        _check(value is None or (type(value) is int and value >= 0), f"{name} is {value!r}")
    for name in ("model", "model_version", "response_id", "trace_id"):
        value = getattr(exchange, name)
        _check(isinstance(value, str) and len(value) <= 256, f"{name} is long, or no text")
    _check(len(exchange.path) <= 2048, "path is long")
    _check(exchange.cached_tokens <= (exchange.prompt_tokens or 0), "more cached than prompt")
    _check(exchange.reasoning_tokens <= (exchange.output_tokens or 0), "more reasoning than output")
    _check(0 <= exchange.choices <= MAX_CHOICES, "choices")
    _check(exchange.arrivals <= exchange.events or not exchange.events, "arrivals, events")
    _check(len(exchange.finishes) <= MAX_CHOICES, "finish reasons")
    _check(exchange.operation in OPERATIONS, f"operation {exchange.operation[:40]!r}")
    _check(exchange.error in ERRORS | {""}, f"error {exchange.error[:40]!r}")
    _check(exchange.unread in UNREAD | {""}, f"unread {exchange.unread[:40]!r}")


def _bounds(max_models: int) -> dict[str, frozenset[str] | int]:
    return {
        "model": max_models + 2, "operation": OPERATIONS, "code": MAX_CODES, "error_type": ERRORS,
        "phase": PHASES, "protocol": UNREAD, "kind": OPAQUE, "stream": 2, "engine": 2, "source": 3,
        "direction": 4, "version": 1,
    }  # fmt: skip


def check_exposition(pipeline: Pipeline) -> None:
    """Both formats parse; each label has few values, or those that it may have."""
    list(parse_text(pipeline.exposition().decode()))
    bounds = _bounds(pipeline.config.max_model_labels)
    values: dict[str, set[str]] = {}
    for family in parse_openmetrics(pipeline.exposition(openmetrics=True).decode()):
        for sample in family.samples:
            _check(sample.value >= 0 or sample.name in _SIGNED, f"{sample.name} is negative")
            for label, value in sample.labels.items():
                if label == "reason":
                    allowed = _FAMILIES_OF_REASON.get(family.name)
                    _check(allowed is None or value in allowed, f"{family.name}: {value[:40]!r}")
                elif label != "le":
                    values.setdefault(label, set()).add(value)
    for label, bound in bounds.items():
        seen = values.get(label, set())
        if isinstance(bound, int):
            _check(len(seen) <= bound, f"{len(seen)} values of {label}")
        else:
            _check(seen <= bound, f"{label} has a value that it may not have")


def check_summary(pipeline: Pipeline) -> None:
    """It can be encoded, is short, and can be read."""
    encoded = encode_summary(pipeline.summary(pipeline.flows.last_ns))
    _check(len(encoded) < MAX_SUMMARY_BYTES, f"a summary of {len(encoded)} bytes")
    summary = decode_summary(encoded)
    _check(summary.sidecar.in_flight == 0, f"{summary.sidecar.in_flight} in flight")


def _closing(flows: Iterable[int], at_ns: int) -> list[Frame]:
    """Every flow closes; two minutes later a last exchange shows that time has passed."""
    later = at_ns + (EXPIRY_SECONDS + 1) * 1_000_000_000
    frames: list[Frame] = [(flow, codec.CLOSED, at_ns, codec.NO_DELAY, b"") for flow in flows]
    last = 999
    frames += [
        (last, codec.OPEN, later, codec.NO_DELAY, b"{}"),
        (last, codec.CLIENT_BYTES, later, 0, b"GET / HTTP/1.1\r\n\r\n"),
        (last, codec.ENGINE_BYTES, later, 0, b"HTTP/1.1 204 N\r\n\r\n"),
        (last, codec.CLOSED, later, codec.NO_DELAY, b""),
    ]
    return frames


def one_input(data: bytes, *, thorough: bool = True) -> tuple[object, ...]:
    """Feed an input and check all that must hold; return what was seen, to tell new from old.

    Raises:
        ViolationError: something does not hold.
        Exception: whatever the observer raised.
    """
    byte, records = decode(data)
    settings = Settings.of(byte)
    config = SidecarConfig(version=1, engine=settings.engine)
    if settings.few_models:
        config.max_model_labels = 2
    ledger = Ledger()
    pipeline = Pipeline(1, 1_700_000_000_000_000_000, config, ledger)
    if settings.poor:
        pipeline.context.budget.limit = POOR_BYTES
    pipeline.context.keep_text = settings.keep_text
    budget: Budget = pipeline.context.budget
    frames = frames_of(records)
    with faults_come_out():
        for frame in frames:
            pipeline.feed([frame])
            _check(0 <= budget.kept <= budget.limit, f"{budget.kept} bytes are kept")
        latest = max([frame[2] for frame in frames], default=1)
        pipeline.feed(_closing(range(FLOWS), latest))
    pipeline.counter.settle_all()
    ledger.check()
    _check(budget.kept == 0, f"{budget.kept} bytes are kept although all is over")
    _check(pipeline.tally.in_flight == 0, f"{pipeline.tally.in_flight} in flight")
    for exchange in ledger.finished_exchanges:
        check_exchange(exchange)
    if thorough:
        check_exposition(pipeline)
        check_summary(pipeline)
    return _seen(pipeline, ledger)


def _seen(pipeline: Pipeline, ledger: Ledger) -> tuple[object, ...]:
    outcomes = Counter(
        (
            exchange.dialect, exchange.operation, exchange.code // 100, exchange.error,
            exchange.unread, exchange.stream, exchange.token_source, exchange.protocol,
            min(exchange.events, 3), min(exchange.tool_calls, 2), bool(exchange.finishes),
            bool(exchange.left_ns), exchange.reasoned,
        )
        for exchange in ledger.finished_exchanges
    )  # fmt: skip
    return (
        frozenset((what, min(count, 2)) for what, count in outcomes.items()),
        frozenset(pipeline.flows.opaque.counts),
        pipeline.context.budget.refusals > 0,
    )

"""The metrics of the request path; names, labels and buckets are the contract with dashboards."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from sidelight_sidecar.observer.abandonment import QueueReading, abandonment_of
from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange
from sidelight_sidecar.observer.metrics.abandonment import AbandonmentMetrics
from sidelight_sidecar.observer.metrics.bulk_histogram import BulkHistogram
from sidelight_sidecar.observer.metrics.engine_times import EngineTimesMetrics
from sidelight_sidecar.observer.metrics.labels import Labels

DURATION_BUCKETS = tuple(0.01 * 2**power for power in range(18))
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1, 1.5, 2, 2.5,
    3.5, 5, 7.5, 10, 20, 40, 80, 160,
)  # fmt: skip
PER_TOKEN_BUCKETS = (
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15,
    0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10,
)  # fmt: skip
TOKEN_BUCKETS = (1, 4, 16, 64, *(2**power for power in range(7, 21)))
OVERHEAD_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)

_L = ("model", "operation")


class Metrics:
    """Turns exchanges into Prometheus metrics, in a registry of its own."""

    def __init__(self, labels: Labels, release: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._labels = labels

        def counter(name: str, text: str, *extra: str) -> Counter:
            return Counter(f"sidelight_{name}", text, (*_L, *extra), registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *extra: str) -> Histogram:
            return Histogram(
                f"sidelight_{name}", text, (*_L, *extra), registry=registry, buckets=buckets
            )

        self._requests = counter(
            "requests", "Requests that ended, by HTTP status; 499: the client left first.",
            "code", "stream",
        )  # fmt: skip
        self._errors = counter("request_errors", "Requests that failed, by class.", "error_type")
        self._in_flight = Gauge(
            "sidelight_requests_in_flight", "Requests under way.", ("operation",), registry=registry
        )
        self._lost = Counter(
            "sidelight_requests_lost",
            "Requests whose head was seen and whose end was not; in no other metric.",
            ("operation",),
            registry=registry,
        )
        self._duration = histogram(
            "request_duration_seconds", "First byte of the request to last of the response.",
            DURATION_BUCKETS, "stream",
        )  # fmt: skip
        self._first_token = histogram(
            "time_to_first_token_seconds", "First byte of the request to the first output.",
            FIRST_TOKEN_BUCKETS,
        )  # fmt: skip
        self._first_output = histogram(
            "time_to_first_output_seconds", "The same to the first output that is no reasoning.",
            FIRST_TOKEN_BUCKETS,
        )  # fmt: skip
        self._per_token = histogram(
            "time_per_output_token_seconds",
            "Mean time for each token after the first; streams, by the engine's usage.",
            PER_TOKEN_BUCKETS,
        )  # fmt: skip
        self._gaps = BulkHistogram(
            "sidelight_inter_chunk_latency_seconds",
            "Time between reads that brought output; streams.",
            _L,
            PER_TOKEN_BUCKETS,
        )
        registry.register(self._gaps)
        self._prompt = counter("prompt_tokens", "Prompt tokens, from the engine's usage.")
        self._output = counter("output_tokens", "Output tokens, from the engine's usage.")
        self._cached = counter(
            "cached_prompt_tokens", "Prompt tokens that came from a cache, by the engine's usage."
        )
        self._reasoning = counter(
            "reasoning_tokens", "Output tokens that were reasoning, by the engine's usage."
        )
        self._estimated = counter(
            "tokens_estimated",
            "Output events of requests without any count: an estimate.",
            "direction",
        )
        self._request_prompt = histogram(
            "request_prompt_tokens",
            "Prompt tokens of a request, by the engine's usage.",
            TOKEN_BUCKETS,
        )
        self._request_output = histogram(
            "request_output_tokens",
            "Output tokens of a request, by the engine's usage.",
            TOKEN_BUCKETS,
        )
        self._tokenized = counter(
            "tokens_tokenized", "Tokens of requests without usage, by the engine's own tokenizer.",
            "direction",
        )  # fmt: skip
        self._empty = counter("empty_answers", "Requests that ended well with an empty answer.")
        self._tool_calls = counter("tool_calls", "Calls that clients were asked to make.")
        self._abandoned = AbandonmentMetrics(registry)
        self._engine_times = EngineTimesMetrics(registry)
        self._finish = counter("finish_reasons", "Why generation ended, normalised.", "reason")
        self._unread = Counter(
            "sidelight_parser_errors",
            "Responses of which something could not be read.",
            ("protocol",),
            registry=registry,
        )
        self._overhead = Histogram(
            "sidelight_proxy_overhead_seconds", "Time the relay held the end of a request.",
            registry=registry, buckets=OVERHEAD_BUCKETS,
        )  # fmt: skip
        self.config_error = Gauge(
            "sidelight_config_error", "1: the newest configuration file is not in force.",
            registry=registry,
        )  # fmt: skip
        Gauge("sidelight_build_info", "Who speaks.", ("version",), registry=registry).labels(
            release
        ).set(1)
        self.queue_reading: QueueReading | None = None

    def started(self, exchange: Exchange) -> None:
        """One more is under way."""
        self._in_flight.labels(exchange.in_flight_as).inc()

    def dropped(self, exchange: Exchange) -> None:
        """One less is under way; how it went on is not known."""
        self._in_flight.labels(exchange.in_flight_as).dec()
        self._lost.labels(exchange.in_flight_as).inc()

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Observe the gaps."""
        self._gaps.observe((self._labels.model(exchange), exchange.operation), gaps)

    def finished(self, exchange: Exchange) -> None:
        """Count it."""
        labels = (self._labels.model(exchange), exchange.operation)
        exemplar = {"trace_id": exchange.trace_id} if exchange.trace_id else None
        stream = "true" if exchange.stream else "false"
        self._in_flight.labels(exchange.in_flight_as).dec()
        self._requests.labels(*labels, self._labels.code(exchange), stream).inc(1, exemplar)
        self._duration.labels(*labels, stream).observe(exchange.duration, exemplar)
        if exchange.error:
            self._errors.labels(*labels, exchange.error).inc(1, exemplar)
        for histogram, seconds in (
            (self._first_token, exchange.time_to_first_token),
            (self._first_output, exchange.time_to_first_output),
            (self._per_token, exchange.time_per_output_token),
        ):
            if seconds is not None:
                histogram.labels(*labels).observe(seconds, exemplar)
        if exchange.unread:
            self._unread.labels(exchange.unread).inc()
        for reason in reasons_of(exchange):
            self._finish.labels(*labels, reason).inc()
        if exchange.overhead is not None:
            self._overhead.observe(exchange.overhead)
        if exchange.empty:
            self._empty.labels(*labels).inc()
        if exchange.tool_calls:
            self._tool_calls.labels(*labels).inc(exchange.tool_calls)
        self._engine_times.finished(labels, exchange)
        self._abandoned.finished(labels, abandonment_of(exchange, self.queue_reading))

    def counted(self, exchange: Exchange) -> None:
        """Count its tokens, each series from one source alone."""
        labels = (self._labels.model(exchange), exchange.operation)
        if exchange.prompt_tokens is not None:
            self._prompt.labels(*labels).inc(exchange.prompt_tokens)
            self._request_prompt.labels(*labels).observe(exchange.prompt_tokens)
            self._cached.labels(*labels).inc(exchange.cached_tokens)
        elif exchange.tokenized_prompt is not None:
            self._tokenized.labels(*labels, "prompt").inc(exchange.tokenized_prompt)
        if exchange.output_tokens is not None:
            self._output.labels(*labels).inc(exchange.output_tokens)
            self._request_output.labels(*labels).observe(exchange.output_tokens)
            self._reasoning.labels(*labels).inc(exchange.reasoning_tokens)
        elif exchange.tokenized_output is not None:
            self._tokenized.labels(*labels, "output").inc(exchange.tokenized_output)
        elif exchange.estimated_tokens:
            self._estimated.labels(*labels, "output").inc(exchange.estimated_tokens)
        if exchange.code == CLIENT_LEFT:
            self._abandoned.counted(labels, exchange)

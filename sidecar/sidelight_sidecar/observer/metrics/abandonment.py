"""Metrics of exchanges that their clients left."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from sidelight_contract.names import TokenSource
from sidelight_sidecar.observer.abandonment import Abandonment
from sidelight_sidecar.observer.exchange import Exchange

STOP_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_L = ("model", "operation")


class AbandonmentMetrics:
    """Who hung up when, what they had been sent, and whether the engine stopped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sidelight_abandoned_requests",
            "Requests that the client left, by phase; engine: its side was seen to end, or not.",
            (*_L, "phase", "engine"),
            registry=registry,
        )
        self._tokens = Counter(
            "sidelight_abandoned_tokens",
            "Tokens of requests that clients left: prompts, and what had been sent; by source.",
            (*_L, "direction", "source"),
            registry=registry,
        )
        self._bytes_after = Counter(
            "sidelight_abandoned_bytes_after",
            "Bytes of responses that engines still sent after the client had left.",
            _L,
            registry=registry,
        )
        self._stop = Histogram(
            "sidelight_abandoned_stop_seconds",
            "From the client's leaving to the end of the engine's side.",
            _L,
            registry=registry,
            buckets=STOP_BUCKETS,
        )

    def finished(self, labels: tuple[str, str], what: Abandonment | None) -> None:
        """An exchange ended; None: its client stayed."""
        if what is None:
            return
        engine = "not_seen" if what.stop_seconds is None else "stopped"
        self._requests.labels(*labels, what.phase, engine).inc()
        self._bytes_after.labels(*labels).inc(what.bytes_after)
        if what.stop_seconds is not None:
            self._stop.labels(*labels).observe(what.stop_seconds)

    def counted(self, labels: tuple[str, str], exchange: Exchange) -> None:
        """The tokens of an exchange whose client left are known."""
        for direction, source, tokens in (
            ("prompt", TokenSource.USAGE, exchange.prompt_tokens),
            ("prompt", TokenSource.TOKENIZED, exchange.tokenized_prompt),
            ("output", TokenSource.USAGE, exchange.output_tokens),
            ("output", TokenSource.TOKENIZED, exchange.tokenized_output),
            ("output", TokenSource.ESTIMATED, exchange.estimated_tokens),
        ):
            if tokens:
                self._tokens.labels(*labels, direction, source.value).inc(tokens)

"""The metrics that OpenTelemetry's conventions for generative AI (v1.41.1) ask of a server. They go
over OTLP alone: `/metrics` has the same requests under our names.

Rules:
1. Every request counts, whether it becomes a record or not.
2. Times to first token and per output token are of requests that went well, as the conventions have
   it; Prometheus' time to first token has those that failed later, too.
3. Tokens are the engine's own count; where it gives none, nothing is counted.
4. Buckets are those that the conventions name.
"""

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.metrics.bulk_histogram import BulkHistogram
from sidelight_sidecar.observer.metrics.labels import Labels
from sidelight_sidecar.records.metrics import Family, Point

DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))
FIRST_TOKEN_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
PER_TOKEN_BOUNDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
)  # fmt: skip
TOKEN_BOUNDS = tuple(4**power for power in range(14))
_L = ("model", "operation", "api")


class GenAiMetrics(Consumer):
    """Counts them since it was made."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._duration = BulkHistogram(
            "gen_ai.server.request.duration",
            "First byte of the request to last of the response.",
            (*_L, "error"),
            DURATION_BOUNDS,
        )
        self._first_token = BulkHistogram(
            "gen_ai.server.time_to_first_token",
            "First byte of the request to the first output; streams that ended well.",
            _L,
            FIRST_TOKEN_BOUNDS,
        )
        self._per_token = BulkHistogram(
            "gen_ai.server.time_per_output_token",
            "Mean time for each token after the first; streams that ended well.",
            _L,
            PER_TOKEN_BOUNDS,
        )
        self._tokens = BulkHistogram(
            "gen_ai.client.token.usage",
            "Tokens of a request, by the engine's usage.",
            (*_L, "token"),
            TOKEN_BOUNDS,
        )

    def finished(self, exchange: Exchange) -> None:
        """Count its times."""
        if exchange.operation == OTHER:
            return
        of = self._of(exchange)
        self._duration.observe((*of, exchange.error), (exchange.duration,))
        if exchange.error:
            return
        first, each = exchange.time_to_first_token, exchange.time_per_output_token
        if first is not None:
            self._first_token.observe(of, (first,))
        if each is not None:
            self._per_token.observe(of, (each,))

    def counted(self, exchange: Exchange) -> None:
        """Count its tokens."""
        if exchange.operation == OTHER:
            return
        of = self._of(exchange)
        for token, count in (("input", exchange.prompt_tokens), ("output", exchange.output_tokens)):
            if count is not None:
                self._tokens.observe((*of, token), (count,))

    def _of(self, exchange: Exchange) -> tuple[str, str, str]:
        return self._labels.model(exchange), exchange.operation, exchange.dialect

    def families(self) -> list[Family]:
        """All of it, those that have a series."""
        all_four = (self._duration, self._first_token, self._per_token, self._tokens)
        return [family for family in map(_family, all_four) if family.points]


def _family(histogram: BulkHistogram) -> Family:
    points = [
        Point(list(labels), total, sum(counts), list(counts))
        for labels, counts, total in histogram.series()
    ]
    return Family(
        histogram.name, "histogram", histogram.documentation,
        list(histogram.labelnames), list(histogram.bounds), points,
    )  # fmt: skip

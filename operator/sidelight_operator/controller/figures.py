"""From summaries of sidecars to the figures of a status. Pure; merging is in the contract.

Only inference counts: what a sidecar files under the operation `other` (health checks, metrics,
unknown paths) is in no figure.
"""

from collections.abc import Iterable

from sidelight_contract import status
from sidelight_contract.durations import format_duration, round_significant
from sidelight_contract.failures import is_failure
from sidelight_contract.sketch import Sketch
from sidelight_contract.summary import Summary, Traffic, add_counts

NOT_INFERENCE = "other"
_PLACEHOLDERS = frozenset({"_unknown", "_other"})


class Figures:
    """Everything that some sidecars saw, added up. The order of adding does not matter, but for
    rates, where it may move the last bit of a float.
    """

    def __init__(self) -> None:
        self.window = Traffic(model="", operation="")
        """Of its distributions those that a status shows: merging them is what costs."""
        self.total = Traffic(model="", operation="")
        """Counts alone."""
        self.request_rate = 0.0
        self.token_rate = 0.0
        self.served_models: dict[str, int] = {}
        self.pods = 0
        self.not_observed = 0
        self.observed = 0
        """Requests of these pods that were seen to their end, whichever model answered."""
        self.lost = 0
        """Requests of these pods that were not."""
        self.started_at = float("inf")

    def add(self, summary: Summary) -> None:
        """Add what one sidecar saw."""
        self.add_pod(summary)
        self.add_traffic(inference(summary.total), inference(summary.window), summary)

    def add_pod(self, summary: Summary) -> None:
        """Add what is the same whichever of its models is asked about."""
        self.pods += 1
        self.started_at = min(self.started_at, summary.sidecar.started_at)
        relay = summary.relay
        self.not_observed += (
            relay.flows_gapped_queue_full
            + relay.flows_gapped_no_observer
            + summary.sidecar.flows_unparsed
        )
        self.observed += sum(part.requests for part in inference(summary.total))
        self.lost += summary.sidecar.requests_lost

    def add_traffic(
        self, total: Iterable[Traffic], window: Iterable[Traffic], summary: Summary
    ) -> None:
        """Add some of what `summary` says was served."""
        for part in total:
            self.total.tally(part)
            if part.model not in _PLACEHOLDERS:
                seen = self.served_models.get(part.model, 0)
                self.served_models[part.model] = seen + part.requests
        for part in window:
            self._add_window(part)
            if summary.window_seconds > 0:
                self.request_rate += part.requests / summary.window_seconds
                self.token_rate += part.tokens.output / summary.window_seconds

    def merge(self, other: "Figures") -> None:
        """Add all of `other`, of other pods."""
        self.pods += other.pods
        self.started_at = min(self.started_at, other.started_at)
        self.not_observed += other.not_observed
        self.observed += other.observed
        self.lost += other.lost
        self.merge_traffic(other)

    def merge_traffic(self, other: "Figures") -> None:
        """Add what was served by `other`, of pods that are in already."""
        self.total.tally(other.total)
        add_counts(self.served_models, other.served_models)
        self._add_window(other.window)
        self.request_rate += other.request_rate
        self.token_rate += other.token_rate

    def _add_window(self, part: Traffic) -> None:
        self.window.tally(part)
        self.window.time_to_first_token.merge(part.time_to_first_token)
        self.window.time_per_output_token.merge(part.time_per_output_token)
        self.window.duration.merge(part.duration)


def inference(parts: Iterable[Traffic]) -> Iterable[Traffic]:
    """Those of `parts` that are inference."""
    return (part for part in parts if part.operation != NOT_INFERENCE)


def traffic_status(figures: Figures) -> status.Traffic:
    """The window's figures."""
    window = figures.window
    failures = sum(count for kind, count in window.errors.items() if is_failure(kind))
    return status.Traffic(
        requests=window.requests,
        requests_per_second=round_significant(figures.request_rate),
        error_ratio=round_significant(failures / window.requests if window.requests else 0.0),
        tokens_per_second=round_significant(figures.token_rate),
        time_to_first_token=latency_status(window.time_to_first_token),
        time_per_output_token=latency_status(window.time_per_output_token),
        duration=latency_status(window.duration),
    )


def latency_status(sketch: Sketch) -> status.Latency | None:
    """Quantiles of `sketch`; None when nothing was measured."""
    shown = [sketch.quantile(q) for q in (0.5, 0.95, 0.99)]
    p50, p95, p99 = (format_duration(value) if value is not None else "" for value in shown)
    return status.Latency(p50=p50, p95=p95, p99=p99, count=sketch.count) if sketch.count else None

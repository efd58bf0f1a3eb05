"""The controller's own metrics, in a registry of its own. docs/metrics.md has a row for each."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROUND_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counted where it happens; labels hold nothing but reasons and names of ObservedModels."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.round_seconds = Histogram(
            "sidelight_controller_round_duration_seconds",
            "Duration of a round over all ObservedModels.",
            buckets=_ROUND_BUCKETS,
            registry=self.registry,
        )
        self.errors = Counter(
            "sidelight_controller_errors",
            "Rounds of one ObservedModel that ended early, by what failed.",
            ["error"],
            registry=self.registry,
        )
        self.models = Gauge(
            "sidelight_controller_models", "ObservedModels known.", registry=self.registry
        )
        self.collect_failures = Counter(
            "sidelight_controller_collect_failures",
            "Summaries that were asked for and not had, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.pods_selected = Gauge(
            "sidelight_controller_pods_selected",
            "Pods that an ObservedModel selects.",
            ["namespace", "observed_model"],
            registry=self.registry,
        )
        self.pods_not_observed = Gauge(
            "sidelight_controller_pods_not_observed",
            "Of them, those without observation, by reason.",
            ["namespace", "observed_model", "reason"],
            registry=self.registry,
        )
        self.pods_replaced = Counter(
            "sidelight_controller_pods_replaced",
            "Pods deleted that never served and were stuck because of Sidelight, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.status_writes = Counter(
            "sidelight_controller_status_writes",
            "Statuses written; a round without change writes none.",
            registry=self.registry,
        )

"""The controller's own metrics, in a registry of its own. docs/controller.md has a row for each."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROUND_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


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
        self.reconcile_seconds = Histogram(
            "sidelight_controller_reconcile_duration_seconds",
            "Duration of one ObservedModel's part of a round.",
            buckets=_ROUND_BUCKETS,
            registry=self.registry,
        )
        self.queue_age_seconds = Histogram(
            "sidelight_controller_queue_age_seconds",
            "Time an ObservedModel waited: from the change that was seen, else from the beginning "
            "of the round, to the beginning of its part.",
            buckets=_ROUND_BUCKETS,
            registry=self.registry,
        )
        self.watch_age_seconds = Gauge(
            "sidelight_controller_watch_last_event_age_seconds",
            "Seconds since the watch of ObservedModels last brought one. A quiet cluster brings "
            "none; see watch_behind.",
            registry=self.registry,
        )
        self.watch_behind = Gauge(
            "sidelight_controller_watch_behind",
            "1 while the API server lists an ObservedModel, or a generation of one, that the watch "
            "has not brought.",
            registry=self.registry,
        )
        self.loop_lag_seconds = Gauge(
            "sidelight_controller_loop_lag_seconds",
            "By how much the event loop was last late for a task that was due.",
            registry=self.registry,
        )
        self.api_seconds = Histogram(
            "sidelight_controller_api_request_duration_seconds",
            "Duration of requests to the API server; code 0: there was no answer.",
            ["verb", "resource", "code"],
            buckets=_CALL_BUCKETS,
            registry=self.registry,
        )
        self.workloads_restarted = Counter(
            "sidelight_controller_workloads_restarted",
            "Workloads restarted by rollout.policy WhenOutdated.",
            registry=self.registry,
        )
        self.images_changed = Counter(
            "sidelight_controller_images_changed",
            "Sidecar images changed in running pods, and changed back.",
            ["result"],
            registry=self.registry,
        )
        self.breakers_open = Gauge(
            "sidelight_controller_breakers_open",
            "Workloads that the circuit breaker keeps Sidelight out of.",
            ["namespace", "observed_model"],
            registry=self.registry,
        )
        self.pods_outdated = Gauge(
            "sidelight_controller_pods_outdated",
            "Selected pods whose sidecar is not what injection would give them today.",
            ["namespace", "observed_model"],
            registry=self.registry,
        )
        self.versions_differ = Gauge(
            "sidelight_controller_version_inconsistent",
            "1 while pods of one version differ in what changes answers (condition "
            "VersionConsistent).",
            ["namespace", "observed_model"],
            registry=self.registry,
        )
        self.gpus_unhealthy = Gauge(
            "sidelight_controller_gpu_unhealthy",
            "1 while a GPU of observed pods has an error or is throttled by heat (condition "
            "GPUHealthy).",
            ["namespace", "observed_model"],
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

    def api_request(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count a request to the API server."""
        self.api_seconds.labels(verb, resource, str(code)).observe(seconds)

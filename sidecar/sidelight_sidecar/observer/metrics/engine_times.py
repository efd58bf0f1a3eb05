"""What engines say in their answers of where the time went, as metrics."""

from prometheus_client import CollectorRegistry, Histogram

from sidelight_sidecar.observer.exchange import Exchange

BUCKETS = (0.005, 0.02, 0.08, 0.32, 1.28, 5.12, 20.48, 81.92)
"""Coarse: these are to explain a time to first token, which has finer ones."""
_L = ("model", "operation")


class EngineTimesMetrics:
    """Series are there only for engines that say something."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._before = Histogram(
            "sidelight_backend_queue_seconds",
            "Before the engine computed anything, as its answer says: in its queue (TGI), or while "
            "it loaded the model (Ollama).",
            _L,
            registry=registry,
            buckets=BUCKETS,
        )
        self._prefill = Histogram(
            "sidelight_backend_prefill_seconds",
            "On the prompt, as the engine's answer says (Ollama, llama.cpp).",
            _L,
            registry=registry,
            buckets=BUCKETS,
        )

    def finished(self, labels: tuple[str, str], exchange: Exchange) -> None:
        """Observe what the answer says."""
        times = exchange.engine_times
        if times is None:
            return
        for histogram, nanoseconds in (
            (self._before, times.before_ns),
            (self._prefill, times.prefill_ns),
        ):
            if nanoseconds is not None:
                histogram.labels(*labels).observe(nanoseconds / 1e9)

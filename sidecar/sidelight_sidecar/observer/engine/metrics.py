"""What asking the engine comes to, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.engine.worker import EngineWorker, TokenizerState


class EngineCollector(Collector):
    """Whether the engine's tokenizer is used, and how often the engine is asked."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Two families."""
        state = GaugeMetricFamily(
            "sidelight_tokenizer_state",
            "1 for what is known of the engine's own tokenizer.",
            labels=("state",),
        )
        for name in TokenizerState:
            state.add_metric((name.value,), float(self._worker.state is name))
        yield state
        questions = CounterMetricFamily(
            "sidelight_engine_questions",
            "Requests of the sidecar's own to the engine, off the path.",
            labels=("kind",),
        )
        questions.add_metric(("queue",), self._worker.queue_questions)
        questions.add_metric(("tokenize",), self._worker.tokenizer.questions)
        yield questions

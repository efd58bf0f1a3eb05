"""What asking the engine comes to, and what the engine says of itself, as metrics.

Counters are the engine's own values, so that they can be held against the sidecar's. What is not
fresh is not exported: a gauge that stands still looks like a quiet engine.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sidelight_sidecar.observer.engine.signals import EngineSignals
from sidelight_sidecar.observer.engine.worker import EngineWorker, TokenizerState

GAUGES = {
    "requests_running": ("running", "Requests that the engine computes."),
    "requests_waiting": ("waiting", "Requests that wait in the engine's queue."),
    "kv_cache_usage_ratio": ("kv_cache_usage", "Share of the engine's KV cache in use."),
}
COUNTERS = {
    "prompt_tokens": ("prompt_tokens", "Tokens of prompts, cached ones included."),
    "output_tokens": ("output_tokens", "Output tokens."),
    "prefix_cache_queries": (
        "cache_queries", "Prompt tokens that could have come from the prefix cache.",
    ),
    "prefix_cache_hits": ("cache_hits", "Of them, those that did."),
    "preemptions": ("preemptions", "Requests that had to give up their place and begin again."),
    "requests_aborted": ("aborted", "Requests that nobody waited for any more."),
    "time_to_first_token_seconds": ("ttft_seconds", "Sum of the times to first token."),
    "decode_seconds": ("decode_seconds", "Sum of the times from first token to last."),
    "queue_seconds": ("queue_seconds", "Sum of the times in the queue."),
}  # fmt: skip
"""By the last part of their names: where they are in the signals, and what they are."""


class EngineCollector(Collector):
    """How the engine is asked, and what it says. It notes that it was scraped, for then the engine
    is read although nothing is under way.

    Args:
        worker: asks the engine.
        identity: how often it was asked who it is.
    """

    def __init__(self, worker: EngineWorker, identity: Callable[[], int] = int) -> None:
        self._worker = worker
        self._identity = identity

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The families that there is something to say of; the engine's own without labels but a
        few.
        """
        self._worker.sampler.scraped()
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
        questions.add_metric(("queue",), self._worker.sampler.questions)
        questions.add_metric(("tokenize",), self._worker.tokenizer.questions)
        questions.add_metric(("identity",), self._identity())
        yield questions
        yield from self._engine()

    def _engine(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        signals: EngineSignals | None = self._worker.sampler.fresh()
        yield GaugeMetricFamily(
            "sidelight_engine_up",
            "1: the engine's own metrics were read in the last 30 s; 0: they were not, and the "
            "other sidelight_engine_ metrics but sidelight_engine_questions_total are left out.",
            float(signals is not None),
        )
        for name, (field, text) in GAUGES.items():
            gauge = GaugeMetricFamily(f"sidelight_engine_{name}", f"{text} By the engine itself.")
            if (value := getattr(signals, field, None)) is not None:
                gauge.add_metric((), value)
            yield gauge
        for name, (field, text) in COUNTERS.items():
            counter = CounterMetricFamily(
                f"sidelight_engine_{name}", f"{text} By the engine itself, since it started."
            )
            if (value := getattr(signals, field, None)) is not None:
                counter.add_metric((), value)
            yield counter
        finished = CounterMetricFamily(
            "sidelight_engine_requests",
            "Requests that ended, by the engine itself, since it started.",
            labels=("reason",),
        )
        for reason, value in sorted(signals.finished.items()) if signals else ():
            finished.add_metric((reason,), value)
        yield finished

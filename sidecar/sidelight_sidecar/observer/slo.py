"""Judges each request by the service level objectives, and counts. Pure: time comes with frames.

What is counted where is told in docs/slo.md; the rules behind it:
1. A client's own mistake says nothing of the engine, and counts nowhere.
2. What failed before it could be measured is bad, not missing: else an engine would look better
   the more of its slow requests it gave up.
3. Of a client that left, what is known counts: a first token that had come, or a threshold that
   had passed already. That it left does not.
4. An adapter has rings of its own beside those of all, and so has a model of which the engine has
   not said whether it is one: the first `MAX_ADAPTERS`.
"""

from sidelight_contract.identity import MAX_ADAPTERS
from sidelight_contract.slo import (
    ALL,
    Counts,
    SloCount,
    SloHistory,
    SloReport,
    SloSettings,
    add,
)
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels

_LEFT = "client_disconnect"
_GOOD = SloCount(good=1)
_BAD = SloCount(bad=1)


def judge(exchange: Exchange, settings: SloSettings) -> Counts:
    """What one request adds: one good or bad for each objective that can be judged of it."""
    if exchange.operation == OTHER:
        return {}
    failed = exchange.error in settings.errors
    left = exchange.error == _LEFT or exchange.code == CLIENT_LEFT
    if exchange.error and not failed and not left:
        return {}
    found = {
        name: kept
        for name, kept in (
            ("ttft", _first_token(exchange, settings.ttft, failed=failed, left=left)),
            ("tpot", _within(exchange.time_per_output_token, settings.tpot)),
            ("e2e", _duration(exchange, settings.e2e, failed=failed, left=left)),
            ("errors", not failed if settings.errors and not left else None),
        )
        if kept is not None
    }
    bad = not all(found.values())
    if found and (bad or not left):
        found[ALL] = not bad
    return {name: _GOOD if kept else _BAD for name, kept in found.items()}


def _within(seconds: float | None, threshold: float | None) -> bool | None:
    return None if seconds is None or threshold is None else seconds <= threshold


def _first_token(
    exchange: Exchange, threshold: float | None, *, failed: bool, left: bool
) -> bool | None:
    if threshold is None:
        return None
    if (seconds := exchange.time_to_first_token) is not None:
        return seconds <= threshold
    if not (exchange.stream or exchange.stream_asked):
        return None
    return False if failed or (left and _waited(exchange) > threshold) else None


def _duration(
    exchange: Exchange, threshold: float | None, *, failed: bool, left: bool
) -> bool | None:
    if threshold is None:
        return None
    if failed:
        return False
    if left:
        return False if _waited(exchange) > threshold else None
    return exchange.duration <= threshold


def _waited(exchange: Exchange) -> float:
    """Seconds that a client which left had waited; none while it was still sending."""
    if not exchange.request_end_ns:
        return 0.0
    end_ns = min(exchange.left_ns or exchange.stop_ns, exchange.stop_ns)
    return (end_ns - exchange.start_ns) / 1e9


class SloCounter(Consumer):
    """A consumer of exchanges."""

    def __init__(
        self, labels: Labels, settings: SloSettings | None, offset_ns: int, now_ns: int
    ) -> None:
        self._labels = labels
        self._offset_ns = offset_ns
        self.settings = settings
        self.by_labels: dict[tuple[str, str], Counts] = {}
        """By model and operation, for the metrics."""
        self._report = SloReport()
        self._history = SloHistory()
        self._of_models: dict[str, SloHistory] = {}
        self._begin(now_ns)

    def reconfigure(self, settings: SloSettings | None, now_ns: int) -> None:
        """Judge by other thresholds from here on; counts of others begin anew."""
        self.settings = settings
        if self._report.revision != (settings.revision if settings else ""):
            self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self.by_labels = {}
        self._history = SloHistory()
        self._of_models = {}
        self._report = SloReport()
        if self.settings is not None:
            since = (now_ns + self._offset_ns) / 1e9
            self._report = SloReport(self.settings.revision, since)

    def finished(self, exchange: Exchange) -> None:
        """Judge it by the thresholds that are in force now."""
        if self.settings is None or not (counts := judge(exchange, self.settings)):
            return
        model = self._labels.model(exchange)
        add(self.by_labels.setdefault((model, exchange.operation), {}), counts)
        add(self._report.counts, counts)
        at = (exchange.stop_ns + self._offset_ns) / 1e9
        self._history.take(at, counts)
        if (own := self._rings_of(model)) is not None:
            own.take(at, counts)

    def _rings_of(self, model: str) -> SloHistory | None:
        """Those of an adapter, or of what may turn out to be one."""
        if model in self._labels.models:
            return None
        if model not in self._of_models:
            if len(self._of_models) >= MAX_ADAPTERS:
                self._of_models = self._of_adapters()
            if len(self._of_models) >= MAX_ADAPTERS:
                return None
            self._of_models[model] = SloHistory()
        return self._of_models[model]

    def _of_adapters(self) -> dict[str, SloHistory]:
        own = self._of_models.items()
        return {name: rings for name, rings in own if name in self._labels.adapters}

    def told(self, now_ns: int, *, history: bool = False) -> SloReport:
        """What was counted under the present thresholds; with its rings where they are wanted."""
        report = self._report
        now = (now_ns + self._offset_ns) / 1e9
        told = SloReport(report.revision, report.since, report.counts, at=now)
        if history:
            told.history, told.adapters = self._history, self._of_adapters()
            for rings in (told.history, *told.adapters.values()):
                rings.forget(now)
        return told

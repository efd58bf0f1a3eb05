"""Adds up requests by stratum, so that the operator can compare versions on the same traffic.

Rules:
1. Only inference counts, as everywhere in a status; lengths are the engine's own, else unknown.
2. Concurrency is what it was when the request started: what came later is an effect.
3. An exchange is counted when it ends; tokens that are counted later make no difference.
"""

from sidelight_contract.failures import is_failure
from sidelight_contract.strata import MAX_STRATA, Key, Strata, Stratum, key_of
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import OTHER, Exchange
from sidelight_sidecar.observer.metrics.labels import Labels


class StrataCounter(Consumer):
    """A consumer of exchanges."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._rows: dict[Key, Stratum] = {}
        self._left_out = 0

    def finished(self, exchange: Exchange) -> None:
        """Count it in its stratum."""
        if exchange.operation == OTHER:
            return
        if (row := self._row(exchange)) is None:
            self._left_out += 1
            return
        row.requests += 1
        row.failed += is_failure(exchange.error)
        row.time_to_first_token.take(exchange.time_to_first_token)
        row.time_per_output_token.take(exchange.time_per_output_token)
        row.duration.take(None if exchange.error else exchange.duration)

    def _row(self, exchange: Exchange) -> Stratum | None:
        key = key_of(
            self._labels.model(exchange),
            exchange.prompt_tokens,
            exchange.output_tokens,
            streamed=exchange.stream or exchange.stream_asked,
            concurrency=exchange.concurrency,
        )
        row = self._rows.get(key)
        if row is None and len(self._rows) < MAX_STRATA:
            row = self._rows[key] = Stratum(*key)
        return row

    def told(self) -> Strata:
        """All there was since the start."""
        return Strata(list(self._rows.values()), self._left_out)

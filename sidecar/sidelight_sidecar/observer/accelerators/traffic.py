"""Which requests were in flight when, and whether before or after their first output.

A consumer; it looks at exchanges only when somebody asks for a span of time. Rules:
1. Only inference, from the time when the request was whole: a device cannot work on one that is
   still being sent.
2. A stream's first output divides prefill from decode. Waiting in the engine's queue is prefill
   here: from outside one looks like the other. What generates nothing (embeddings) is all prefill.
   An answer that is no stream is neither: nothing tells when it began to generate.
3. Bounded: `MAX_FLYING` in flight are followed; those that ended are kept for `KEPT_NS`, and only
   while somebody asks.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sidelight_contract.gpu import Phase
from sidelight_sidecar.observer.autopsy.timeline import overlap
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import OTHER, Exchange

MAX_FLYING = 4096
MAX_ENDED = 16_384
KEPT_NS = 180_000_000_000
"""Longer than the longest interval, with the time that it waits to be looked at."""
DOMINATES = 0.5


@dataclass(slots=True)
class InFlight:
    """Request time in a span: nanoseconds times requests."""

    all_ns: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0
    covered_ns: int = 0
    """How much of the span had any request in flight: no multiple."""
    span_ns: int = field(default=0, compare=False)
    """The span; 0: it is of no matter."""

    @property
    def phase(self) -> Phase:
        """What dominated. Where nothing was in flight for most of the span, nothing did: what the
        devices did then is not what they do in a prefill, however short one was in between.
        """
        if not self.all_ns or self.covered_ns < DOMINATES * self.span_ns:
            return Phase.NONE
        if self.decode_ns > DOMINATES * self.all_ns:
            return Phase.DECODE
        if self.prefill_ns > DOMINATES * self.all_ns:
            return Phase.PREFILL
        return Phase.MIXED

    def add(self, begin: int, first: int, stop: int, since: int, until: int) -> int:
        """Add what one request has in the span; `first` 0: nothing divides it, -1: all prefill.

        Returns:
            How much of the span that is.
        """
        whole = min(stop, until) - max(begin, since)
        if whole <= 0:
            return 0
        self.all_ns += whole
        if first < 0:
            self.prefill_ns += whole
        elif first:
            decode = max(0, min(stop, until) - max(first, begin, since))
            self.decode_ns += decode
            self.prefill_ns += whole - decode
        return whole


class Traffic(Consumer):
    """See the module.

    Attributes:
        asked: somebody asks: keep those that ended.
    """

    def __init__(self) -> None:
        self._flying: dict[int, Exchange] = {}
        self._ended: deque[tuple[int, int, int]] = deque(maxlen=MAX_ENDED)
        self.asked = False

    def started(self, exchange: Exchange) -> None:
        """Follow it."""
        if exchange.operation != OTHER and len(self._flying) < MAX_FLYING:
            self._flying[id(exchange)] = exchange

    def dropped(self, exchange: Exchange) -> None:
        """It was lost sight of."""
        self._flying.pop(id(exchange), None)

    def finished(self, exchange: Exchange) -> None:
        """Keep its times, and nothing else of it."""
        followed = self._flying.pop(id(exchange), None) is not None
        if self.asked and (followed or exchange.operation != OTHER) and exchange.request_end_ns:
            self._ended.append((exchange.request_end_ns, _first(exchange), exchange.stop_ns))

    def between(self, since_ns: int, until_ns: int) -> InFlight:
        """What was in flight in a span that lies in the past."""
        found, spans = InFlight(span_ns=until_ns - since_ns), []
        for begin, first, stop in (*self._ended, *self._under_way(until_ns)):
            if found.add(begin, first, stop, since_ns, until_ns):
                spans.append((begin, stop))
        found.covered_ns = overlap((since_ns, until_ns), spans)
        return found

    def _under_way(self, until_ns: int) -> Iterator[tuple[int, int, int]]:
        for exchange in self._flying.values():
            if exchange.request_end_ns:
                first = _first(exchange)
                if first == 0 and exchange.stream_asked and not exchange.first_output_ns:
                    first = -1  # it is to be a stream, and none of it came yet
                yield exchange.request_end_ns, first, until_ns

    def forget(self, now_ns: int) -> None:
        """Forget what nobody will ask for any more."""
        while self._ended and self._ended[0][2] < now_ns - KEPT_NS:
            self._ended.popleft()


def _first(exchange: Exchange) -> int:
    """What divides it: its first output; -1: it is all prefill; 0: that is not to be seen."""
    if not exchange.generating:
        return -1
    if exchange.first_output_ns:
        return exchange.first_output_ns if exchange.stream else 0
    return -1 if exchange.stream else 0

"""For an engine without metrics: the times that its answers state, against those that were seen.

Ollama's answers say how long it computed. What they say of tokens is where the sidecar's counts are
from, and of a time in the queue they say nothing, so the decode time is all that can be compared:
it is measured on both sides, of the same requests. Only streams that ended well have it.
"""

from sidelight_contract.names import DifferenceCause
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.reconcile.compare import Comparison, Figure, decode_compared
from sidelight_sidecar.observer.reconcile.counts import Counts, counts_of

SPAN_NS = 60_000_000_000


class OwnWords:
    """Adds up what was seen and what was said, a minute at a time, by the exchanges' own times."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, since_ns: int) -> None:
        self._since_ns = since_ns
        self._seen = Counts()
        self._decode_ns = 0

    def counted(self, exchange: Exchange) -> Comparison | None:
        """Take an exchange; the comparison of the minute that it ended, if it ended one."""
        times = exchange.engine_times
        streamed = exchange.stream and exchange.first_output_ns > 0 and not exchange.error
        if times is None or times.decode_ns is None or not streamed or exchange.choices > 1:
            return None
        done = None
        if self._seen.exchanges and exchange.stop_ns - self._since_ns >= SPAN_NS:
            done = self._comparison(exchange.stop_ns)
            self._begin(exchange.stop_ns)
        self._since_ns = self._since_ns or exchange.start_ns
        self._seen = self._seen.plus(counts_of(exchange))
        self._decode_ns += times.decode_ns
        return done

    def _comparison(self, until_ns: int) -> Comparison | None:
        tokens = self._seen.output_tokens.seen
        if not tokens:
            return None
        decode = decode_compared(self._decode_ns, tokens, self._seen)
        if decode.agrees and decode.loose:
            return None
        causes = () if decode.agrees else (DifferenceCause.TIMES_DIFFER,)
        return Comparison(self._since_ns, until_ns, 0, {Figure.DECODE_TIME: decode}, causes)

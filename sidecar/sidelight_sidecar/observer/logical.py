"""Requests that are polled: one request of the model over many HTTP exchanges.

A server without streams (Lamini) is asked for the same output again and again, and gives what it
has so far, until it is finished. Rules:
1. Each poll stays what it is, an exchange with status, times and sizes, of operation `other`; it
   is no request of the model.
2. All of them together are one more exchange, a stream from the first byte of the first poll to
   the last byte of the last. Its first output is that of the first poll which brought any.
3. How far polls lie apart is the client's doing: no gaps are told, and counted polls are no
   estimate of tokens.
4. What nobody polls any more for `EXPIRY_SECONDS` of the frames' time was left by its client. At
   most `MAX_OPEN` are followed; past that the one polled longest ago is lost sight of.
"""

from collections import OrderedDict
from collections.abc import Sequence

from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, Exchange
from sidelight_sidecar.observer.poll import Poll

EXPIRY_SECONDS = 120
"""Lamini's client polls every second unless told otherwise."""
MAX_OPEN = 1024
"""Open requests that are followed: far more than one pod generates at once."""


class _Open:
    """A request that is not finished: its exchange, and how much output it has."""

    __slots__ = ("exchange", "length")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.length = 0


class LogicalRequests:
    """A consumer in front of another, which is told of the requests beside their polls."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def started(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.started(exchange)

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Pass on."""
        self._consumer.arrived(exchange, gaps)

    def dropped(self, exchange: Exchange) -> None:
        """Pass on: one poll that is not seen ends nothing."""
        self._consumer.dropped(exchange)

    def counted(self, exchange: Exchange) -> None:
        """Pass on."""
        self._consumer.counted(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Pass on; a poll also tells of its request."""
        self._consumer.finished(exchange)
        if self._open:
            self._expire(exchange.stop_ns)
        if exchange.poll is not None:
            self._polled(exchange, exchange.poll)

    def _polled(self, exchange: Exchange, poll: Poll) -> None:
        entry = self._open.get(poll.key)
        if entry is not None and poll.begins and poll.length < entry.length:
            self._leave(self._open.pop(poll.key))  # the same words, asked for anew
            entry = None
        if entry is None:
            if exchange.error or not poll.begins:
                return
            entry = self._begin(exchange, poll)
        self._open.move_to_end(poll.key)
        self._read(entry, exchange, poll)
        if poll.done:
            del self._open[poll.key]
            entry.exchange.code = exchange.code
            self._consumer.finished(entry.exchange)

    def _begin(self, exchange: Exchange, poll: Poll) -> _Open:
        request = Exchange(exchange.flow, exchange.start_ns)
        request.protocol, request.method, request.path = (
            exchange.protocol, exchange.method, exchange.path,
        )  # fmt: skip
        request.trace_id, request.parent_id = exchange.trace_id, exchange.parent_id
        request.trace_sampled, request.request_id = exchange.trace_sampled, exchange.request_id
        request.request_end_ns = exchange.request_end_ns
        request.response_start_ns = exchange.response_start_ns
        request.operation = request.in_flight_as = poll.operation
        request.dialect, request.response_id = poll.dialect, exchange.response_id
        request.generating = request.stream = request.stream_asked = True
        if len(self._open) == MAX_OPEN:
            self._consumer.dropped(self._open.popitem(last=False)[1].exchange)
        self._open[poll.key] = entry = _Open(request)
        self._consumer.started(request)
        return entry

    def _read(self, entry: _Open, exchange: Exchange, poll: Poll) -> None:
        request = entry.exchange
        request.stop_ns = exchange.stop_ns
        request.bytes_in += exchange.bytes_in
        request.bytes_out += exchange.bytes_out
        request.error, request.code = exchange.error, exchange.code
        request.model = poll.model or request.model
        request.unread = request.unread or exchange.unread
        for index, reason in enumerate(poll.finishes):
            request.choice(index)
            request.finish(index, reason)
        if poll.length <= entry.length:
            return
        entry.length = poll.length
        request.has_output = True
        request.arrivals += 1
        request.last_output_ns = exchange.stop_ns
        if not request.first_output_ns:
            request.first_output_ns = request.first_visible_ns = exchange.stop_ns

    def _expire(self, now_ns: int) -> None:
        while self._open:
            key, entry = next(iter(self._open.items()))
            if now_ns - entry.exchange.stop_ns < EXPIRY_SECONDS * 1_000_000_000:
                return
            del self._open[key]
            self._leave(entry)

    def _leave(self, entry: _Open) -> None:
        """Nobody asks any more: after an error that was it, else the client lost interest."""
        request = entry.exchange
        if not request.error:
            request.error, request.code = "client_disconnect", CLIENT_LEFT
            request.left_ns = request.stop_ns
        self._consumer.finished(request)

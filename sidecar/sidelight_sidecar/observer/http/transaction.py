"""One request and its response on their way, whichever version of HTTP carries them.

An HTTP module calls these methods in the order of the bytes; everything above HTTP hangs on them.
"""

import re

from sidelight_sidecar.observer.bodies.body import ResponseBody
from sidelight_sidecar.observer.budget import Budget, Held, Kept, KeptText
from sidelight_sidecar.observer.capture.bodies import CAPTURE_BYTES, Bodies
from sidelight_sidecar.observer.consumers import Consumer
from sidelight_sidecar.observer.dialects import Route, route_of
from sidelight_sidecar.observer.dialects.base import Headers, Request
from sidelight_sidecar.observer.dialects.kserve import JSON_LENGTH
from sidelight_sidecar.observer.exchange import CLIENT_LEFT, OTHER, Exchange

MAX_PATH_BYTES = 2048
MAX_REQUEST_BYTES = 1 << 20
"""A longer request body is not kept for the dialects that ask for it."""

GAPS_AT_ONCE = 64
"""Gaps of a stream that consumers are told of at once: a second or three of it."""
MAX_REQUEST_ID = 128
_HEX = b"0123456789abcdef"
_ODD = frozenset(b"%x" % number for number in range(1, 16, 2))
"""Last hex digits of flags that say `sampled`."""
_STREAM = re.compile(rb'"stream"\s{0,8}:\s{0,8}true')
_STREAM_BYTES = 32


class Context:
    """What all transactions of a pipeline share.

    Attributes:
        consumer: is told of exchanges.
        budget: of what may be kept.
        engine: type of the engine, as configured.
        keep_text: keep prompt and output of exchanges until usage is known, so that they can be
            counted where it is missing.
        keep_bodies: bytes of each body to keep until it is decided whether the exchange becomes a
            record; 0: none.
        body_budget: of those.
    """

    __slots__ = ("body_budget", "budget", "consumer", "engine", "keep_bodies", "keep_text")

    def __init__(self, consumer: Consumer, budget: Budget) -> None:
        self.consumer = consumer
        self.budget = budget
        self.engine = "Auto"
        self.keep_text = False
        self.keep_bodies = 0
        self.body_budget = Budget(CAPTURE_BYTES)


class Transaction:
    """Turns HTTP's events into one exchange."""

    __slots__ = (
        "_body", "_context", "_held", "_request", "_request_bytes", "_route", "_seen", "exchange",
    )  # fmt: skip

    def __init__(self, context: Context, flow: int, start_ns: int) -> None:
        self.exchange = Exchange(flow, start_ns)
        self._context = context
        self._route: Route | None = None
        self._request: Request | None = None
        self._body: ResponseBody | None = None
        self._request_bytes = bytearray()
        self._held = Held(context.budget)
        self._seen = b""  # the end of what came before, where "stream" may have begun

    # --- the request ------------------------------------------------------------------------
    def request_head(self, method: str, path: str, headers: Headers) -> None:
        """The head of the request is known: from here on it is an exchange."""
        exchange = self.exchange
        exchange.method = method
        exchange.path = path[:MAX_PATH_BYTES]
        _read_context(exchange, headers)
        self._request = request = Request(method, exchange.path, self._context.engine)
        self._route = route = route_of(request)
        exchange.operation = exchange.in_flight_as = route.operation
        exchange.generating = route.generating
        if not route.needs_request or headers.get(b"content-encoding", b"identity") != b"identity":
            request.body = None
        if self._context.keep_text and route.generating:
            exchange.text = KeptText(self._context.budget)
            exchange.asked = Kept(self._context.budget)
        if self._context.keep_bodies and route.operation != OTHER:
            exchange.bodies = Bodies(self._context.body_budget, self._context.keep_bodies)
            exchange.bodies.request.head(*_kind(headers))
        self._context.consumer.started(exchange)

    def request_body(self, data: bytes) -> None:
        """Bytes of the request's body."""
        exchange = self.exchange
        exchange.bytes_in += len(data)
        if exchange.generating and not exchange.stream_asked:
            exchange.stream_asked = _asks_for_stream(self._seen + data)
            self._seen = data[-_STREAM_BYTES:]
        if exchange.asked is not None:
            exchange.asked.add(data)
        if exchange.bodies is not None:
            exchange.bodies.request.add(data)
        request = self._request
        if request is None or request.body is None or self._body is not None:
            return  # nobody asks for it, or it has been asked for
        if self._held.size + len(data) > MAX_REQUEST_BYTES or not self._held.grow(len(data)):
            request.body = None
            self._request_bytes.clear()
            self._held.release()
        else:
            self._request_bytes += data

    def request_end(self, at_ns: int, delay_ns: int) -> None:
        """The request is whole; the relay held its last bytes for `delay_ns` (-1: not known)."""
        self.exchange.request_end_ns = at_ns
        self.exchange.overhead_ns = delay_ns
        if self.exchange.bodies is not None:
            self.exchange.bodies.request.ended = True

    # --- the response -----------------------------------------------------------------------
    @property
    def responding(self) -> bool:
        """Whether the head of the response (not an interim one) is known."""
        return self._body is not None

    def response_start(self, at_ns: int) -> None:
        """The first byte of the response; of an interim one it is forgotten again with 0."""
        if not self.exchange.response_start_ns or not at_ns:
            self.exchange.response_start_ns = at_ns

    def response_head(self, status: int, headers: Headers) -> None:
        """Status and headers of the response."""
        exchange, request, route = self.exchange, self._request, self._route
        assert request is not None
        assert route is not None
        if request.body is not None:
            request.body = bytes(self._request_bytes)
            self._request_bytes.clear()
        exchange.code = status
        if exchange.bodies is not None:
            exchange.bodies.response.head(*_kind(headers))
        dialect = route.dialect(exchange, request)
        exchange.dialect = dialect.name
        self._body = ResponseBody(exchange, dialect, self._context.budget)
        self._body.head(status, headers)
        if not dialect.needs_request:
            self._forget_request()

    def response_body(self, data: bytes, at_ns: int) -> None:
        """Bytes of the response's body that one read brought."""
        exchange = self.exchange
        exchange.bytes_out += len(data)
        if exchange.left_ns:
            exchange.bytes_after_left += len(data)
        if exchange.bodies is not None:
            exchange.bodies.response.add(data)
        body = self._body
        if body is not None:
            body.feed(data, at_ns)
            if len(exchange.fresh_gaps) >= GAPS_AT_ONCE:
                self._context.consumer.arrived(exchange, exchange.take_gaps())

    def response_trailers(self, headers: Headers) -> None:
        """Trailers of the response."""
        if self._body is not None:
            self._body.trailers(headers)

    # --- the end ----------------------------------------------------------------------------
    def client_left(self, at_ns: int) -> None:
        """The client sends no more on this connection, or has reset the request."""
        if not self.exchange.left_ns:
            self.exchange.left_ns = at_ns

    def complete(self, at_ns: int) -> None:
        """The response ended as its framing says."""
        exchange = self.exchange
        if self._body is not None:
            self._body.end(whole=True, at_ns=at_ns)
        if exchange.bodies is not None:
            exchange.bodies.response.ended = True
        if exchange.left_ns and (exchange.error == "upstream_reset" or _is_blank(exchange)):
            exchange.error = "client_disconnect"  # a server that stops for that may end it neatly
            exchange.code = CLIENT_LEFT
            exchange.engine_end_ns = exchange.engine_end_ns or at_ns
        else:
            exchange.left_ns = 0  # the client had only said all it had to say
        self._finish(at_ns)

    def broke(self, at_ns: int, error: str) -> None:
        """It ended otherwise; `error` is a class of the taxonomy."""
        exchange = self.exchange
        if self._body is not None:
            self._body.end(whole=False, at_ns=at_ns)
        if not (exchange.error and error == "upstream_reset"):
            exchange.error = error  # an engine that said what is wrong may break off after it
        if error == "client_disconnect":
            exchange.code = CLIENT_LEFT
            exchange.left_ns = exchange.left_ns or at_ns
        else:
            exchange.left_ns = 0
        self._finish(at_ns)

    def drop(self) -> None:
        """It was lost sight of."""
        self._release()
        if self._request is not None:
            self._context.consumer.dropped(self.exchange)

    def _finish(self, at_ns: int) -> None:
        self._release()
        exchange = self.exchange
        exchange.stop_ns = at_ns
        if exchange.fresh_gaps:
            self._context.consumer.arrived(exchange, exchange.take_gaps())
        self._context.consumer.finished(self.exchange)

    def _release(self) -> None:
        self._forget_request()
        if self._body is not None:
            self._body.release()
            self._body = None

    def _forget_request(self) -> None:
        if self._request is not None:
            self._request.body = None
        self._request_bytes.clear()
        self._held.release()


def _asks_for_stream(data: bytes) -> bool:
    """Whether a JSON body says `"stream": true`. Inside a string the quotes would be escaped."""
    return b'"stream"' in data and _STREAM.search(data) is not None


def _is_blank(exchange: Exchange) -> bool:
    """Whether an answer that should hold something was never begun: llama.cpp says 200 and nothing
    to a client that left before its turn. A model that has nothing to say gives a reason to end.
    """
    return exchange.empty and not exchange.finishes


def _kind(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """What a body is, how it is coded, and how much of it is JSON with tensors behind it."""
    return (
        headers.get(b"content-type", b""),
        headers.get(b"content-encoding", b""),
        headers.get(JSON_LENGTH, b""),
    )


def _read_context(exchange: Exchange, headers: Headers) -> None:
    """The request's id, and its W3C `traceparent`: version, trace, parent, flags. A CloudEvent's
    id goes first: its client means to join by it, and meshes give all requests the other.
    """
    given = headers.get(b"ce-id") or headers.get(b"x-request-id", b"")
    exchange.request_id = given[:MAX_REQUEST_ID].decode("latin-1")
    parts = headers.get(b"traceparent", b"").split(b"-")
    if len(parts) == 4 and _is_hex(parts[1], 32):
        exchange.trace_id = parts[1].decode("ascii")
        if _is_hex(parts[2], 16):
            exchange.parent_id = parts[2].decode("ascii")
            exchange.trace_sampled = parts[3][-1:] in _ODD


def _is_hex(digits: bytes, count: int) -> bool:
    """Small digits, as the W3C has them; zeros alone are no id."""
    return len(digits) == count and not digits.strip(_HEX) and digits.strip(b"0") != b""

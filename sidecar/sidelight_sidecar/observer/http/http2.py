"""HTTP/2 on both directions of one connection (RFC 9113), followed and not taken part in.

Rules:
1. Each stream of the client is one exchange (`http2_stream`); what comes of a stream that is over
   is skipped, but for its header blocks: HPACK hangs on all of them.
2. A reset by the engine, or a GOAWAY that leaves a stream out, ends the exchange as failed.
3. Streams that the engine opens (PUSH_PROMISE) are no requests; they are skipped.
4. What an endpoint would close the connection for is `NotFollowedError`.
"""

from collections.abc import Callable
from struct import Struct

from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.flows.detect import PREFACE
from sidelight_sidecar.observer.flows.opaque import (
    HTTP2,
    MALFORMED,
    REFUSED,
    NotFollowedError,
)
from sidelight_sidecar.observer.http.http2_frames import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    FrameCutter,
    Part,
)
from sidelight_sidecar.observer.http.http2_headers import HeaderReader
from sidelight_sidecar.observer.http.http2_settings import Settings, from_upgrade
from sidelight_sidecar.observer.http.http2_stream import Stream, Streams
from sidelight_sidecar.observer.http.transaction import Context, Transaction

_OVERLOADED = frozenset({0x7, 0xB})
"""REFUSED_STREAM and ENHANCE_YOUR_CALM: the request was not taken."""
_NUMBER = Struct(">I")


class _Side:
    """What is known of one direction."""

    __slots__ = ("cutter", "greeted", "headers")

    def __init__(self, context: Context) -> None:
        self.cutter = FrameCutter(context.budget)
        self.headers = HeaderReader(context.budget)
        self.greeted = False  # its first frame, which must be SETTINGS, has come

    def greet(self, part: Part) -> None:
        """Check the first frame."""
        if part.kind != SETTINGS or part.flags & ACK:
            raise NotFollowedError(MALFORMED)
        self.greeted = True

    def obey(self, settings: Settings) -> None:
        """The other side has announced what it takes."""
        if settings.table_bytes is not None:
            self.headers.allow_table(settings.table_bytes)
        if settings.frame_bytes is not None:
            self.cutter.max_frame_bytes = max(self.cutter.max_frame_bytes, settings.frame_bytes)

    def release(self) -> None:
        """Give back what is kept."""
        self.cutter.release()
        self.headers.release()


class Http2Connection:
    """Both directions of one connection. Feed it in the order of the frames.

    Args:
        flow: its number.
        context: of its transactions.
        linger: is called when a stream begins to linger: `expire` is to be called after a while.
    """

    kind = HTTP2
    __slots__ = (
        "_client", "_context", "_engine", "_engine_left", "_flow", "_goaway", "_last", "_linger",
        "_preface", "_streams",
    )  # fmt: skip

    def __init__(self, flow: int, context: Context, linger: Callable[[], None]) -> None:
        self._flow = flow
        self._context = context
        self._linger = linger
        self._client = _Side(context)
        self._engine = _Side(context)
        self._streams = Streams(context.budget)
        self._last = 0  # the newest stream of the client
        self._goaway = 1 << 31  # streams above are not processed
        self._engine_left = False
        self._preface = PREFACE  # what of it is still to come

    def adopt(self, transaction: Transaction, settings: bytes) -> None:
        """Begin with a request that came in HTTP/1.1, as stream 1, and its `HTTP2-Settings`.

        Raises:
            NotFollowedError: these are no settings.
        """
        transaction.exchange.protocol = "http/2"
        self._streams.add(1, transaction)
        self._last = 1
        self._engine.obey(from_upgrade(settings))

    # --- the client's bytes -----------------------------------------------------------------
    def from_client(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Bytes of the client.

        Raises:
            NotFollowedError: they are not HTTP/2, or cannot be followed.
        """
        if self._preface:
            expected = self._preface
            if not (data.startswith(expected) or expected.startswith(data)):
                raise NotFollowedError(MALFORMED)
            self._preface = expected[len(data) :]
            data = data[len(expected) :]
        for part in self._client.cutter.feed(data, at_ns):
            kind = part.kind
            if not self._client.greeted:
                self._client.greet(part)
            if kind == DATA:
                self._request_data(part, at_ns, delay_ns)
            elif kind == HEADERS:
                self._request_headers(part, at_ns, delay_ns)
            elif kind == RST_STREAM:
                self._client_reset(part, at_ns)
            elif kind == SETTINGS and not part.flags & ACK:
                self._engine.obey(Settings(part.payload))
            elif kind == PUSH_PROMISE:
                raise NotFollowedError(MALFORMED)

    def _request_data(self, part: Part, at_ns: int, delay_ns: int) -> None:
        stream = self._streams.get(part.stream)
        if stream is None:
            self._check_used(part.stream)
        elif not stream.left_ns:
            if part.payload:
                stream.transaction.request_body(part.payload)
            if part.flags & END_STREAM:
                stream.transaction.request_end(at_ns, delay_ns)

    def _request_headers(self, part: Part, at_ns: int, delay_ns: int) -> None:
        pseudo, headers = self._client.headers.read(part.payload)
        number = part.stream
        if number <= self._last:
            stream = self._streams.get(number)
            if stream is not None and not stream.left_ns:  # trailers
                if not part.flags & END_STREAM:
                    raise NotFollowedError(MALFORMED)
                stream.transaction.request_end(at_ns, delay_ns)
            return
        if number % 2 == 0:
            raise NotFollowedError(MALFORMED)
        self._last = number
        method = pseudo.get(b"method", b"").decode("latin-1")
        target = pseudo.get(b"path") or pseudo.get(b"authority", b"")
        if not (method and target):
            return  # the engine will refuse it
        if b"authority" in pseudo:
            headers.setdefault(b"host", pseudo[b"authority"])
        transaction = Transaction(self._context, self._flow, part.start_ns)
        transaction.exchange.protocol = "http/2"
        self._streams.add(number, transaction)
        transaction.request_head(method, target.decode("latin-1"), headers)
        if part.flags & END_STREAM:
            transaction.request_end(at_ns, delay_ns)
        if number > self._goaway:
            self._streams.fail(number, at_ns, "upstream_reset")

    def _client_reset(self, part: Part, at_ns: int) -> None:
        stream = self._streams.get(part.stream)
        if stream is None:
            self._check_used(part.stream)
        elif self._engine_left:
            self._streams.fail(part.stream, at_ns, "upstream_reset")  # nobody was there to answer
        elif not stream.left_ns:
            self._streams.leave(part.stream, at_ns)
            self._linger()

    # --- the engine's bytes -----------------------------------------------------------------
    def from_engine(self, data: bytes, at_ns: int) -> None:
        """Bytes of the engine.

        Raises:
            NotFollowedError: they are not HTTP/2, or cannot be followed.
        """
        side = self._engine
        if not side.greeted and data.startswith(b"HTTP/"):
            raise NotFollowedError(REFUSED)
        arrived: list[Stream] = []
        for part in side.cutter.feed(data, at_ns):
            kind = part.kind
            if not side.greeted:
                side.greet(part)
            if kind == DATA:
                self._response_data(part, at_ns, arrived)
            elif kind == HEADERS:
                self._response_headers(part, at_ns)
            elif kind == RST_STREAM:
                self._engine_reset(part, at_ns)
            elif kind == PUSH_PROMISE:
                side.headers.read(part.payload[_NUMBER.size :])
            elif kind == GOAWAY:
                self._go_away(part, at_ns)
            elif kind == SETTINGS and not part.flags & ACK:
                self._client.obey(Settings(part.payload))
        for stream in arrived:
            stream.deliver(at_ns)

    def _response_data(self, part: Part, at_ns: int, arrived: list[Stream]) -> None:
        stream = self._streams.get(part.stream)
        if stream is None:
            if part.stream % 2:
                self._check_used(part.stream)
            return
        if not stream.answered:
            raise NotFollowedError(MALFORMED)
        if part.payload and stream.arrive(part.payload):
            arrived.append(stream)
        if part.flags & END_STREAM:
            self._streams.complete(part.stream, at_ns)

    def _response_headers(self, part: Part, at_ns: int) -> None:
        pseudo, headers = self._engine.headers.read(part.payload)
        stream = self._streams.get(part.stream)
        if stream is None:
            if part.stream % 2:
                self._check_used(part.stream)
            return
        stream.deliver(at_ns)
        transaction = stream.transaction
        last = bool(part.flags & END_STREAM)
        if stream.answered:
            if not last:
                raise NotFollowedError(MALFORMED)
            transaction.response_trailers(headers)
        else:
            status = _status(pseudo)
            if status < 200:
                if last:
                    raise NotFollowedError(MALFORMED)
                return
            transaction.response_start(part.start_ns)
            transaction.response_head(status, headers)
            stream.answered = True
            if last and b"grpc-status" in headers:  # gRPC's "Trailers-Only"
                transaction.response_trailers(headers)
        if last:
            self._streams.complete(part.stream, at_ns)

    def _engine_reset(self, part: Part, at_ns: int) -> None:
        (code,) = _NUMBER.unpack(_exactly(part.payload, _NUMBER.size))
        stream = self._streams.get(part.stream)
        if stream is None:
            if part.stream % 2:
                self._check_used(part.stream)
            return
        error = "overloaded" if code in _OVERLOADED else "upstream_reset"
        self._streams.fail(part.stream, at_ns, error)

    def _go_away(self, part: Part, at_ns: int) -> None:
        if len(part.payload) < 8:
            raise NotFollowedError(MALFORMED)
        last = _NUMBER.unpack_from(part.payload)[0] & 0x7FFFFFFF
        before, self._goaway = self._goaway, min(self._goaway, last)
        if last >= min(before, self._last):
            return  # no stream is above; it may be said again and again
        for number in self._streams.above(self._goaway):
            self._streams.fail(number, at_ns, "upstream_reset")

    def _check_used(self, number: int) -> None:
        """Check that a stream without an exchange is one that is over, not one that never was."""
        if number > self._last:
            raise NotFollowedError(MALFORMED)

    # --- the end ----------------------------------------------------------------------------
    def expire(self, now_ns: int) -> None:
        """Time has passed: wait no longer for what has lingered for too long."""
        if self._streams.expire(now_ns):
            self._linger()

    def client_ended(self, at_ns: int) -> None:
        """The client sends no more."""
        self._streams.client_ended(at_ns)

    def engine_ended(self, at_ns: int, client_left: bool) -> None:
        """The engine sends no more."""
        self._engine_left = True
        for number in self._streams.above(0):
            self._streams.fail(
                number, at_ns, "client_disconnect" if client_left else "upstream_reset"
            )

    def broke(self, at_ns: int, error: str) -> None:
        """The connection is over; every exchange still open ends with `error`."""
        self._streams.broke(at_ns, error)
        self._release()

    def lose(self) -> None:
        """Lose sight of every exchange that is open."""
        self._streams.lose()
        self._release()

    def _release(self) -> None:
        self._client.release()
        self._engine.release()


def _status(pseudo: Headers) -> int:
    status = pseudo.get(b"status", b"")
    if len(status) != 3 or not status.isdigit() or status < b"100" or status == b"101":
        raise NotFollowedError(MALFORMED)
    return int(status)


def _exactly(payload: bytes, size: int) -> bytes:
    if len(payload) != size:
        raise NotFollowedError(MALFORMED)
    return payload

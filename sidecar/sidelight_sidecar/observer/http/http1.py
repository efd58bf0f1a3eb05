"""HTTP/1.1 on both directions of one connection.

Rules:
1. What cannot be framed for certain is not guessed at: `NotFollowedError`.
2. Several requests may be under way (pipelining); responses come in their order, and each is framed
   with knowledge of its request (HEAD, CONNECT).
3. 1xx responses are not the answer. A response may end before its request does: then the exchange
   is over, and what still comes of the request only has to be skipped.
4. After a request that offers another protocol nothing is read of the client until the engine has
   said whether it agrees.
5. Nothing grows with the number of requests; an idle connection keeps no parser and no buffer.
"""

from sidelight_sidecar.observer.budget import Held
from sidelight_sidecar.observer.flows.detect import Spoken, spoken
from sidelight_sidecar.observer.flows.opaque import (
    HTTP1,
    MALFORMED,
    MEMORY,
    NOT_HTTP,
    TOO_MANY,
    UNKNOWN,
    UNSOLICITED,
    NotFollowedError,
)
from sidelight_sidecar.observer.http.http1_body import ChunkedBody, LengthBody, OpenBody
from sidelight_sidecar.observer.http.http1_head import (
    CHUNKED,
    NOT_FRAMED,
    REQUEST_LINE,
    STATUS_LINE,
    HeadBuffer,
    RequestHead,
    ResponseHead,
    closes,
    parse_request,
    parse_response,
    response_length,
)
from sidelight_sidecar.observer.http.http1_upgrade import Offer
from sidelight_sidecar.observer.http.transaction import Context, Transaction

MAX_PIPELINED = 256
"""Requests under way on one connection; browsers that pipelined had at most 8."""
TRANSACTION_BYTES = 4096
"""About what one costs; asked of the budget for all but the first of a connection."""

_Body = LengthBody | ChunkedBody | OpenBody


class AdriftError(Exception):
    """The client went on with what looks like another request, where a body was due.

    It had asked whether to send the body (`Expect: 100-continue`) and got the final answer instead.
    """


class Http1Connection:
    """Both directions of one connection. Feed it in the order of the frames.

    Attributes:
        answered: at least one response came to its end.
    """

    __slots__ = (
        "_adrift", "_context", "_expecting", "_flow", "_held", "_offer", "_open", "_orphan",
        "_over", "_request_body", "_request_head", "_response_body", "_response_head", "_sending",
        "answered", "kind",
    )  # fmt: skip

    def __init__(self, flow: int, context: Context) -> None:
        self._flow = flow
        self._context = context
        self._open: list[Transaction] = []
        self._held = Held(context.budget)
        self._request_head = HeadBuffer(context.budget, REQUEST_LINE, NOT_HTTP)
        self._request_body: _Body | None = None
        self._sending: Transaction | None = None  # whose body the client is sending
        self._response_head = HeadBuffer(context.budget, STATUS_LINE, MALFORMED)
        self._response_body: _Body | None = None
        self._offer: Offer | None = None
        self._expecting = False  # a body waits for "100 Continue"
        self._adrift = False
        self._orphan = False  # a response has begun that nobody asked for
        self._over = False  # the engine has said that this was its last response
        self.answered = False
        self.kind = UNKNOWN

    @property
    def ahead(self) -> bool:
        """Whether the client has begun a request before it has the answer to another."""
        return len(self._open) > 1 or (bool(self._open) and self._request_head.pending)

    # --- the client's bytes -----------------------------------------------------------------
    def from_client(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Bytes of requests.

        Raises:
            NotFollowedError: they are none.
            AdriftError: see there.
        """
        while data:
            body = self._request_body
            if body is not None:
                data = self._send_body(body, data, at_ns, delay_ns)
                continue
            if self._offer is not None and self._offer.whole:
                self._offer.wait(data, at_ns, delay_ns)
                return
            taken = self._request_head.take(data, at_ns)
            if taken is None:
                return
            block, data = taken
            self._requested(parse_request(block), at_ns, delay_ns)

    def _send_body(self, body: _Body, data: bytes, at_ns: int, delay_ns: int) -> bytes:
        if self._adrift:
            if spoken(data) in (Spoken.HTTP1, Spoken.UNDECIDED):
                raise AdriftError
            self._adrift = False  # these bytes begin no request
        self._expecting = False
        piece = body.feed(data)
        if piece and self._sending is not None:
            self._sending.request_body(piece)
        if not body.done:
            return b""
        self._request_whole(at_ns, delay_ns)
        return body.rest

    def _requested(self, head: RequestHead, at_ns: int, delay_ns: int) -> None:
        self.kind = HTTP1
        if not self._held.set(TRANSACTION_BYTES * len(self._open)):
            raise NotFollowedError(MEMORY)
        if len(self._open) == MAX_PIPELINED:
            raise NotFollowedError(TOO_MANY)
        transaction = Transaction(self._context, self._flow, self._request_head.since_ns)
        self._open.append(transaction)
        self._sending = transaction
        headers = head.headers
        transaction.request_head(head.method, head.target, headers)
        if head.method == "CONNECT" or b"upgrade" in headers:
            self._offer = Offer(transaction, headers)
        if head.length in (0, NOT_FRAMED) or head.method == "CONNECT":
            self._request_whole(at_ns, delay_ns)
            return
        self._request_body = self._body(head.length)
        self._expecting = headers.get(b"expect", b"").lower() == b"100-continue"

    def _request_whole(self, at_ns: int, delay_ns: int) -> None:
        self._request_body = None
        transaction, self._sending = self._sending, None
        if transaction is not None:
            transaction.request_end(at_ns, delay_ns)
        if self._offer is not None:
            self._offer.whole = True

    def _body(self, length: int) -> _Body:
        if length == CHUNKED:
            return ChunkedBody(self._context.budget)
        return LengthBody(length) if length != NOT_FRAMED else OpenBody()

    # --- the engine's bytes -----------------------------------------------------------------
    def from_engine(self, data: bytes, at_ns: int) -> None:
        """Bytes of responses.

        Raises:
            NotFollowedError: they are none, or answer nothing that was asked.
            UpgradedToHttp2Error: what follows is HTTP/2.
        """
        while data:
            body = self._response_body
            if body is None:
                data = self._respond(data, at_ns)
                continue
            piece = body.feed(data)
            if piece:
                self._open[0].response_body(piece, at_ns)
            if not body.done:
                return
            data = body.rest
            if body.trailers:
                self._open[0].response_trailers(body.trailers)
            self._response_whole(at_ns)

    def _respond(self, data: bytes, at_ns: int) -> bytes:
        """Read the head of a response; return what came after it."""
        if self._over:
            if self._open:
                raise NotFollowedError(UNSOLICITED)
            return b""
        buffer = self._response_head
        if not buffer.pending:
            self._orphan = not self._open
        taken = buffer.take(data, at_ns)
        if self._orphan:
            return self._refused(taken)
        transaction = self._open[0]
        if taken is None:
            if buffer.pending:
                transaction.response_start(buffer.since_ns)
            return b""
        transaction.response_start(buffer.since_ns)
        block, rest = taken
        head = parse_response(block)
        if head.status < 200 and head.status != 101:
            transaction.response_start(0)
            self._expecting = self._expecting and head.status != 100
        else:
            self._responded(transaction, head, rest, at_ns)
        return rest

    def _refused(self, taken: tuple[bytes, bytes] | None) -> bytes:
        """A response to nothing: the engine may so close an idle connection (408), or one whose
        request's head it does not want to read to its end.
        """
        if taken is None:
            return b""
        head = parse_response(taken[0])
        if head.status < 400 or not closes(head.headers, head.version):
            raise NotFollowedError(UNSOLICITED)
        self._over = True
        return b""

    def _responded(
        self, transaction: Transaction, head: ResponseHead, rest: bytes, at_ns: int
    ) -> None:
        offer = self._offer
        method = transaction.exchange.method
        tunnel = method == "CONNECT" and head.status < 300
        if head.status == 101 or tunnel:
            if offer is None or offer.transaction is not transaction or not offer.whole:
                raise NotFollowedError(MALFORMED)
            self._leave_http(offer, head, rest, at_ns)
        if offer is not None and offer.transaction is transaction:
            self._offer = None
        length = response_length(head, method)
        transaction.response_head(head.status, head.headers)
        self._over = closes(head.headers, head.version)
        if length:
            self._response_body = self._body(length)
        else:
            self._response_whole(at_ns)
        if self._offer is not offer and offer is not None:
            for piece, piece_ns, delay_ns in offer.waiting:
                self.from_client(piece, piece_ns, delay_ns)

    def _leave_http(self, offer: Offer, head: ResponseHead, rest: bytes, at_ns: int) -> None:
        """End what is HTTP/1.1 here, by raising what says how it goes on."""
        transaction = offer.transaction
        if offer.to_http2(head):
            transaction.response_start(0)
            del self._open[0]
            raise offer.upgraded(rest)
        transaction.response_head(head.status, head.headers)
        self._response_whole(at_ns)
        raise offer.left(head, rest)

    def _response_whole(self, at_ns: int) -> None:
        self._response_body = None
        self.answered = True
        transaction = self._open.pop(0)
        if self._sending is transaction:
            self._sending = None
            self._adrift = self._expecting
        if self._held.size:
            self._held.set(TRANSACTION_BYTES * max(0, len(self._open) - 1))
        transaction.complete(at_ns)

    # --- the end of the connection ----------------------------------------------------------
    def client_ended(self, at_ns: int) -> None:
        """The client sends no more."""
        for transaction in self._open:
            transaction.client_left(at_ns)

    def engine_ended(self, at_ns: int, client_left: bool) -> None:
        """The engine sends no more."""
        if isinstance(self._response_body, OpenBody):
            self._response_whole(at_ns)
        for transaction in self._open:
            transaction.exchange.engine_end_ns = at_ns
        self.broke(at_ns, "client_disconnect" if client_left else "upstream_reset")

    def broke(self, at_ns: int, error: str) -> None:
        """The connection is over; every exchange still open ends with `error`."""
        self._forget()
        while self._open:
            self._open.pop(0).broke(at_ns, error)

    def lose(self) -> None:
        """Lose sight of every exchange that is open."""
        self._forget()
        while self._open:
            self._open.pop(0).drop()

    def _forget(self) -> None:
        self._request_head.release()
        self._response_head.release()
        for body in (self._request_body, self._response_body):
            if body is not None:
                body.release()
        self._request_body = self._response_body = self._sending = self._offer = None
        self._held.release()

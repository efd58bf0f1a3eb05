"""HTTP/1.1 on both directions of one flow, framed by llhttp (through httptools).

Rules:
1. What cannot be framed for certain is not guessed at: `NotFollowedError`, and the flow is opaque.
2. Several requests may be under way (pipelining); responses come in their order.
3. 1xx responses are not the answer; HEAD, 204 and 304 have no body; without length or chunks the
   body ends with the connection.
"""

from collections import deque
from typing import Any

import httptools

from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.transaction import Context, Transaction

MAX_HEAD_BYTES = 256 * 1024
"""A head longer than this (servers allow 8 to 64 KiB) makes the flow opaque."""


class NotFollowedError(Exception):
    """The bytes are not HTTP/1.1, or are framed ambiguously."""


class _Requests:
    """Callbacks of the parser of requests."""

    def __init__(self, connection: "Http1Connection") -> None:
        self._connection = connection
        self.parser: Any = httptools.HttpRequestParser(self)
        self.transaction: Transaction | None = None
        self.head_bytes = 0
        self._url = b""
        self._headers: Headers = {}

    def on_message_begin(self) -> None:
        connection = self._connection
        self.transaction = Transaction(connection.context, connection.flow, connection.now_ns)
        self._url = b""
        self._headers = {}
        self.head_bytes = 1

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self.head_bytes = 0
        method = self.parser.get_method().decode("latin-1")
        self._connection.requested(transaction, method)
        transaction.request_head(method, self._url.decode("latin-1"), self._headers)

    def on_body(self, data: bytes) -> None:
        if self.transaction is not None:
            self.transaction.request_body(data)

    def on_message_complete(self) -> None:
        assert self.transaction is not None
        self.transaction.request_end(self._connection.now_ns, self._connection.delay_ns)
        self.transaction = None


class _Responses:
    """Callbacks of the parser of responses."""

    def __init__(self, connection: "Http1Connection") -> None:
        self._connection = connection
        self.parser: Any = httptools.HttpResponseParser(self)
        self.head_bytes = 0
        self.framed = False
        """The body has a length or chunks."""
        self._headers: Headers = {}

    def on_message_begin(self) -> None:
        self.framed = False
        self._headers = {}
        self.head_bytes = 1
        self._connection.response_began()

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered in (b"content-length", b"transfer-encoding"):
            self.framed = True
        self._headers[lowered] = value

    def on_headers_complete(self) -> None:
        self.head_bytes = 0
        status = self.parser.get_status_code()
        if status in (204, 304) or status < 200:
            self.framed = True
        self._connection.response_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._connection.pieces.append(data)

    def on_message_complete(self) -> None:
        self._connection.response_complete()


class Http1Connection:
    """Both directions of one connection. Feed it in the order of the frames."""

    def __init__(self, flow: int, context: Context) -> None:
        self.flow = flow
        self.context = context
        self.now_ns = 0
        self.delay_ns = -1
        self.pieces: list[bytes] = []
        """Body bytes of the response that the present read brought."""
        self._requests = _Requests(self)
        self._responses = _Responses(self)
        self._open: deque[Transaction] = deque()
        self._interim = False
        self._head_rest = b""

    # --- bytes ------------------------------------------------------------------------------
    def from_client(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Bytes of requests.

        Raises:
            NotFollowedError: they are none.
        """
        self.now_ns, self.delay_ns = at_ns, delay_ns
        requests = self._requests
        self._feed(requests.parser, data)
        if requests.head_bytes:
            requests.head_bytes += len(data)
            if requests.head_bytes > MAX_HEAD_BYTES:
                raise NotFollowedError

    def from_engine(self, data: bytes, at_ns: int) -> None:
        """Bytes of responses.

        Raises:
            NotFollowedError: they are none, or answer nothing that was asked.
        """
        self.now_ns = at_ns
        while data and self._open and self._open[0].exchange.method == "HEAD":
            data = self._without_body(data)
        if data:
            self._feed(self._responses.parser, data)
            self._read_pieces()
        if self._responses.head_bytes:
            self._responses.head_bytes += len(data)
            if self._responses.head_bytes > MAX_HEAD_BYTES:
                raise NotFollowedError

    def _feed(self, parser: Any, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise NotFollowedError from error

    def _without_body(self, data: bytes) -> bytes:
        """Read the head that answers HEAD, whose length speaks of a body that does not come."""
        self._open[0].response_start(self.now_ns)
        self._head_rest += data
        if len(self._head_rest) > MAX_HEAD_BYTES:
            raise NotFollowedError
        head, end, rest = self._head_rest.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._head_rest = b""
        self._feed(self._responses.parser, head + end)
        self._responses = _Responses(self)
        if self._open and self._open[0].responding:
            self.response_complete()
        return rest

    # --- what the parsers say -----------------------------------------------------------------
    def requested(self, transaction: Transaction, method: str) -> None:
        """The head of a request is whole.

        Raises:
            NotFollowedError: HEAD behind another request; the parser of responses cannot be told
                in time that no body follows.
        """
        if self._open and method == "HEAD":
            raise NotFollowedError
        self._open.append(transaction)

    def response_began(self) -> None:
        """The first byte of a response."""
        if not self._open:
            raise NotFollowedError
        self._open[0].response_start(self.now_ns)

    def response_head(self, status: int, headers: Headers) -> None:
        """The head of a response is whole."""
        self._interim = status < 200 and status != 101
        if self._interim:
            self._open[0].response_start(0)
            return
        if status == 101:
            raise NotFollowedError
        self._open[0].response_head(status, headers)

    def _read_pieces(self) -> None:
        if self.pieces:
            data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
            self.pieces.clear()
            if self._open and self._open[0].responding:
                self._open[0].response_body(data, self.now_ns)

    def response_complete(self) -> None:
        """A response ended as its framing says."""
        if self._interim:
            self._interim = False
            return
        self._read_pieces()
        self._open.popleft().complete(self.now_ns)

    # --- the end of the connection ----------------------------------------------------------
    def client_ended(self, at_ns: int) -> None:
        """The client sends no more."""
        for transaction in self._open:
            transaction.client_left(at_ns)

    def engine_ended(self, at_ns: int, *, client_left: bool) -> None:
        """The engine sends no more."""
        self.now_ns = at_ns
        if self._open and self._open[0].responding and not self._responses.framed:
            self._open.popleft().complete(at_ns)
        for transaction in self._open:
            transaction.exchange.engine_end_ns = at_ns
        self.broke(at_ns, "client_disconnect" if client_left else "upstream_reset")

    def broke(self, at_ns: int, error: str) -> None:
        """The connection is over; every exchange still open ends with `error`."""
        self.now_ns = at_ns
        if self._requests.transaction is not None and self._requests.head_bytes:
            self._requests.transaction = None  # not even its head came: no request was made
        while self._open:
            self._open.popleft().broke(at_ns, error)

    def lose(self) -> None:
        """Lose sight of every exchange that is open."""
        for transaction in self._open:
            transaction.drop()
        self._open.clear()

"""A response's body: decoded, cut into events, and given to the dialect, within limits.

Rules:
1. What one read brought is one arrival, however many events it held.
2. A stream is known by its content type; where something generates and its body begins as server-
   sent events do, by that: some servers call such a stream `application/json`.
3. However much a read decodes to, it is read in steps: what is in memory at a time is bounded.
4. What cannot be read, or would take too much memory, is noted once in `exchange.unread`, and the
   rest of the body is only counted.
"""

from sidelight_sidecar.coding import CodingError, Decoder, decoder_for
from sidelight_sidecar.observer.bodies.lines import LineStream, MessageStream, TooLongError
from sidelight_sidecar.observer.bodies.sse import EventStream, EventTooLongError
from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.observer.dialects.base import Dialect, Framing, Headers
from sidelight_sidecar.observer.exchange import Exchange

MAX_DOCUMENT_BYTES = 4 << 20
"""A longer answer that is no stream is not parsed: a batch of embeddings can be any size."""
MAX_BRACKETS = 1 << 17
"""A document or event with more is not parsed: an empty list is two bytes, and 64 when it has been
read, after a tenth of a microsecond and the collector's time.
"""
LARGE_BYTES = 1 << 16
"""An event that is shorter cannot have so many."""
FREE_WEIGHT = 4096
"""What a stream may make of its exchange without asking the budget."""
WEIGHED_EVERY = 16
"""Reads; what comes of so few is bounded by their size."""

_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b": ")
"""How a body of server-sent events may begin, and one of JSON cannot."""
_STREAMS = frozenset({Framing.EVENTS, Framing.LINES, Framing.PIECES})
Event = tuple[bytes, bytes]


class ResponseBody:
    """Reads one body through one dialect."""

    __slots__ = (
        "_begun", "_cutter", "_deaf", "_decoder", "_decoding", "_dialect", "_document",
        "_exchange", "_framing", "_held", "_plain", "_reads", "_weight",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, dialect: Dialect, budget: Budget) -> None:
        self._exchange = exchange
        self._dialect = dialect
        self._held = Held(budget)
        self._decoder: Decoder | None = None
        self._decoding = Held(budget)  # what the decoder takes up
        self._framing = Framing.DOCUMENT
        self._cutter: EventStream | LineStream | MessageStream | None = None
        self._document = bytearray()
        self._plain: EventStream | None = None
        """The cutter, if it cuts events and nothing has to be decoded before it."""
        self._deaf = False
        self._reads = 0
        self._weight = Held(budget)
        self._begun = not exchange.generating  # it is certain that a document is one

    def head(self, status: int, headers: Headers) -> None:
        """Status and headers: choose how to read the body."""
        content_type = headers.get(b"content-type", b"")[:200].decode("latin-1").lower()
        content_type = content_type.partition(";")[0].strip()
        self._framing = framing = self._dialect.framing(content_type)
        if framing in _STREAMS:
            self._exchange.stream = True
        if framing is Framing.EVENTS:
            self._cutter = EventStream()
        elif framing is Framing.LINES:
            self._cutter = LineStream()
        elif framing is Framing.MESSAGES:
            self._cutter = MessageStream()
        self._dialect.head(status, headers)
        try:
            self._decoder = decoder_for(headers.get(b"content-encoding", b""))
        except CodingError as error:
            self._stop(error.why)
        if self._decoder is None and isinstance(self._cutter, EventStream):
            self._plain = self._cutter

    def feed(self, data: bytes, at_ns: int) -> None:
        """Read what one read brought."""
        plain = self._plain
        if plain is not None:  # nearly always; the rest of this class does the same, step by step
            try:
                events = plain.feed(data)
            except EventTooLongError:
                self._stop("sse")
                return
            if plain.pending != self._held.size:
                self._hold(plain.pending)
            outputs = self._read(events, at_ns) if events else 0
        elif self._decoder is not None:
            outputs = self._decode(self._decoder, data, at_ns)
        else:
            outputs = self._take(data, at_ns)
        if outputs:
            self._arrival(outputs, at_ns)

    def _decode(self, decoder: Decoder, data: bytes, at_ns: int) -> int:
        outputs = 0
        try:
            for piece in decoder.feed(data):
                if decoder.memory > self._decoding.size and not self._decoding.set(decoder.memory):
                    self._stop("memory")
                outputs += self._take(piece, at_ns)
                if self._deaf:
                    break
        except CodingError as error:
            self._stop(error.why)
        return outputs

    def _take(self, data: bytes, at_ns: int) -> int:
        """Read what was decoded; return how many outputs it bears."""
        if self._deaf or not data:
            return 0
        if self._framing is Framing.DOCUMENT:
            self._keep(data)
            if self._begun:
                return 0
            data = self._events_after_all()
            if not data:
                return 0
        cutter = self._cutter
        try:
            if cutter is None:
                events = [(b"", data)]
            elif isinstance(cutter, EventStream):
                events = cutter.feed(data)
            else:
                events = self._cut(cutter, data)
        except (EventTooLongError, TooLongError):
            self._stop("sse" if self._framing is Framing.EVENTS else "size")
            return 0
        if cutter is not None and cutter.pending != self._held.size:
            self._hold(cutter.pending)
        return self._read(events, at_ns) if events else 0

    def trailers(self, headers: Headers) -> None:
        """The trailers, which come before `end`."""
        self._dialect.trailers(headers)

    def end(self, *, whole: bool, at_ns: int) -> None:
        """The body is over; `whole`: as its framing says."""
        outputs = 0
        if whole and not self._deaf:
            if self._framing is Framing.DOCUMENT:
                if self._document:
                    self._parse()
            elif isinstance(self._cutter, EventStream):
                outputs = self._read(self._cutter.flush(), at_ns)
            elif isinstance(self._cutter, LineStream):
                outputs = self._read([(b"", line) for line in self._cutter.flush()], at_ns)
        if outputs:
            self._arrival(outputs, at_ns)
        self.release()
        exchange = self._exchange
        sound = not (exchange.error or exchange.unread)
        expected = exchange.stream or self._framing is Framing.MESSAGES
        if whole and expected and sound and not self._dialect.ended():
            exchange.error = "upstream_reset"

    def release(self) -> None:
        """Give back all that is kept."""
        self._document.clear()
        self._held.release()
        self._decoder = None
        self._decoding.release()
        self._weight.release()

    def _cut(self, cutter: LineStream | MessageStream, data: bytes) -> list[Event]:
        events = [(b"", one) for one in cutter.feed(data)]
        if isinstance(cutter, MessageStream) and cutter.compressed:
            self._stop("encoding")
        return events

    def _hold(self, pending: int) -> None:
        if not self._deaf and not self._held.set(pending):
            self._stop("memory")

    def _read(self, events: list[Event], at_ns: int) -> int:
        dialect = self._dialect
        outputs = 0
        for name, data in events:
            if len(data) > LARGE_BYTES and _brackets(data) > MAX_BRACKETS:
                self._exchange.unread = "size"
            else:
                outputs += dialect.event(name, data, at_ns)
        self._reads += 1
        if self._reads % WEIGHED_EVERY == 1:
            self._weigh()
        return outputs

    def _parse(self) -> None:
        if _brackets(self._document) > MAX_BRACKETS:
            self._exchange.unread = "size"
        else:
            self._dialect.document(bytes(self._document))

    def _weigh(self) -> None:
        """See that an exchange that grows with its answer is in the budget."""
        weight = self._exchange.weight - FREE_WEIGHT
        if weight > self._weight.size and not self._weight.set(weight):
            self._stop("memory")

    def _arrival(self, outputs: int, at_ns: int) -> None:
        """One read brought so many outputs."""
        exchange, dialect = self._exchange, self._dialect
        if not exchange.first_output_ns:
            if dialect.tokens_each:
                exchange.first_arrival_tokens = outputs
            elif exchange.output_tokens:  # usage comes with every chunk
                exchange.first_arrival_tokens = exchange.output_tokens
        exchange.arrival(at_ns, outputs)

    def _events_after_all(self) -> bytes:
        """What was kept of a document, if it turns out to be events; empty: not so, or not yet."""
        head = bytes(self._document)
        if head.startswith(_BEGINNINGS):
            self._document.clear()
            self._held.release()
            self._framing = Framing.EVENTS
            self._cutter = EventStream()
            self._exchange.stream = True
            return head
        self._begun = not any(beginning.startswith(head) for beginning in _BEGINNINGS)
        return b""

    def _keep(self, data: bytes) -> None:
        if self._held.size + len(data) > MAX_DOCUMENT_BYTES:
            self._stop("size")
        elif not self._held.grow(len(data)):
            self._stop("memory")
        else:
            self._document += data

    def _stop(self, why: str) -> None:
        self._deaf = True
        self._exchange.unread = why
        self._cutter = self._plain = None
        self.release()


def _brackets(text: bytes | bytearray) -> int:
    return text.count(b"[") + text.count(b"{")

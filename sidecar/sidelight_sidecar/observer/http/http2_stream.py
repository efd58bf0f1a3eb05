"""The streams of an HTTP/2 connection that are open: one exchange each.

Rules:
1. A stream is complete when the engine has ended its side of it, whether or not the client has.
2. A reset by the client is its leaving. What the engine still sends is counted for `LINGER_NS`, or
   until it ends the stream itself; then the exchange ends, with the time of the reset.
3. What one read brought of a stream is one arrival, however many frames it came in.
"""

from sidelight_sidecar.observer.budget import Budget, Held
from sidelight_sidecar.observer.flows.opaque import MEMORY, TOO_MANY, NotFollowedError
from sidelight_sidecar.observer.http.transaction import Transaction

MAX_STREAMS = 2048
"""Streams followed at one time; servers allow some hundred, gRPC's some thousand."""
STREAM_BYTES = 4096
"""About what one costs; asked of the budget for all but the first `FREE_STREAMS`."""
FREE_STREAMS = 8
LINGER_NS = 2_000_000_000
"""How long an engine's bytes after a client's reset are waited for. Default 2 s: the engine hears
of it within a millisecond, and what it had written before arrives at once."""
MAX_LINGERING = 64
"""Streams that linger at one time; a client that resets thousands a second gets no more."""


class Stream:
    """One stream that is open.

    Attributes:
        answered: the head of the response, not an interim one, is known.
        left_ns: when the client reset it.
    """

    __slots__ = ("_arrived", "answered", "left_ns", "transaction")

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.answered = False
        self.left_ns = 0
        self._arrived: list[bytes] = []

    def arrive(self, data: bytes) -> bool:
        """Keep data that the present read brought; say whether it is the read's first."""
        self._arrived.append(data)
        return len(self._arrived) == 1

    def deliver(self, at_ns: int) -> None:
        """Give out what the present read brought: one arrival."""
        if self._arrived:
            data = b"".join(self._arrived)
            self._arrived.clear()
            self.transaction.response_body(data, at_ns)


class Streams:
    """Those of one connection."""

    __slots__ = ("_held", "_lingering", "_open")

    def __init__(self, budget: Budget) -> None:
        self._held = Held(budget)
        self._open: dict[int, Stream] = {}
        self._lingering: dict[int, Stream] = {}  # of those, in the order of their resets

    def get(self, number: int) -> Stream | None:
        """The stream, if it is open."""
        return self._open.get(number)

    def above(self, number: int) -> list[int]:
        """The open streams with higher numbers."""
        return [one for one in self._open if one > number]

    def add(self, number: int, transaction: Transaction) -> None:
        """A stream is open.

        Raises:
            NotFollowedError: there are too many.
        """
        if len(self._open) >= MAX_STREAMS:
            raise NotFollowedError(TOO_MANY)
        if not self._held.set(STREAM_BYTES * max(0, len(self._open) + 1 - FREE_STREAMS)):
            raise NotFollowedError(MEMORY)
        self._open[number] = Stream(transaction)

    # --- ends -------------------------------------------------------------------------------
    def complete(self, number: int, at_ns: int) -> None:
        """The engine has ended its side."""
        stream = self._open[number]
        if stream.left_ns:
            self.fail(number, at_ns, "")
        else:
            stream.deliver(at_ns)
            self._end(number).transaction.complete(at_ns)

    def fail(self, number: int, at_ns: int, error: str) -> None:
        """The engine has broken it off, or ended it after its client had left it."""
        stream = self._end(number)
        stream.deliver(at_ns)
        transaction = stream.transaction
        transaction.exchange.engine_end_ns = at_ns
        if transaction.exchange.left_ns:
            transaction.broke(stream.left_ns or at_ns, "client_disconnect")
        else:
            transaction.broke(at_ns, error)

    def leave(self, number: int, at_ns: int) -> None:
        """The client has reset it."""
        stream = self._open[number]
        stream.left_ns = at_ns
        stream.transaction.client_left(at_ns)
        self._lingering[number] = stream
        if len(self._lingering) > MAX_LINGERING:
            self._stop_lingering(next(iter(self._lingering)))

    def expire(self, now_ns: int) -> bool:
        """Wait no longer for streams that were reset `LINGER_NS` ago; say whether others wait."""
        for number, stream in list(self._lingering.items()):
            if now_ns - stream.left_ns < LINGER_NS:
                return True
            self._stop_lingering(number)
        return False

    def client_ended(self, at_ns: int) -> None:
        """The client sends no more on the connection."""
        for stream in self._open.values():
            stream.transaction.client_left(at_ns)

    def broke(self, at_ns: int, error: str) -> None:
        """The connection is over."""
        for number in list(self._lingering):
            self._stop_lingering(number)
        for number in list(self._open):
            self._end(number).transaction.broke(at_ns, error)

    def lose(self) -> None:
        """Lose sight of all."""
        for number in list(self._open):
            self._end(number).transaction.drop()

    def _stop_lingering(self, number: int) -> None:
        stream = self._end(number)
        stream.transaction.broke(stream.left_ns, "client_disconnect")

    def _end(self, number: int) -> Stream:
        stream = self._open.pop(number)
        self._lingering.pop(number, None)
        if self._held.size:
            self._held.set(STREAM_BYTES * max(0, len(self._open) - FREE_STREAMS))
        return stream

"""Connections whose bytes are not read: of which kind, why, how many bytes, and for how long.

Rules:
1. That a connection is opaque need not be a fault: TLS and WebSocket are nothing that could be
   followed. The kind says what it is, the reason why it is not read.
2. Bytes and time count from the read that made the connection opaque.
3. Kinds and reasons are the constants below and no others: they are labels.
"""

TLS = "tls"
WEBSOCKET = "websocket"
UPGRADE = "upgrade"
"""Some other protocol that HTTP/1.1 was left for."""
CONNECT = "connect"
HTTP1 = "http1"
HTTP2 = "http2"
UNKNOWN = "unknown"

ENCRYPTED = "encrypted"
UPGRADED = "upgraded"
"""Both sides agreed to leave HTTP."""
NOT_HTTP = "not_http"
AMBIGUOUS = "ambiguous"
"""Framing that two implementations may read in two ways."""
MALFORMED = "malformed"
TOO_LONG = "too_long"
"""A head, a header block or a line that is longer than any that is meant well."""
TOO_MANY = "too_many"
"""Requests at one time on one connection."""
MEMORY = "memory"
"""The observer has no room to keep what is not whole yet."""
UNSOLICITED = "unsolicited"
"""The engine said something that nobody had asked for."""
REFUSED = "refused"
"""An engine that does not speak HTTP/2 was spoken to in it."""
GAP = "gap"
"""Bytes are missing, and without them the rest cannot be read."""
FAULT = "fault"
"""An error in the observer itself."""


class NotFollowedError(Exception):
    """These bytes end what can be followed of a connection.

    Attributes:
        reason: one of this module's.
        kind: one of this module's; empty: what the connection was until now.
        excess: how many of the bytes are not of the last message that was read; None: all.
    """

    def __init__(self, reason: str, kind: str = "", excess: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.excess = excess


class OpaqueKind:
    """What is known of all opaque connections of one kind."""

    __slots__ = ("client_bytes", "ended", "engine_bytes", "open", "total_ns")

    def __init__(self) -> None:
        self.open = 0
        self.ended = 0
        self.total_ns = 0
        """Of those that ended."""
        self.client_bytes = 0
        self.engine_bytes = 0


class OpaqueFlow:
    """One opaque connection."""

    __slots__ = ("_since_ns", "kind")

    def __init__(self, kind: OpaqueKind, at_ns: int) -> None:
        self.kind = kind
        self._since_ns = at_ns
        kind.open += 1

    def end(self, at_ns: int) -> None:
        """The connection is over."""
        self.kind.open -= 1
        self.kind.ended += 1
        self.kind.total_ns += max(0, at_ns - self._since_ns)


class OpaqueFlows:
    """All opaque connections, those that are over included.

    Attributes:
        kinds: by kind.
        counts: how many there were, by kind and reason.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, OpaqueKind] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def begin(self, kind: str, reason: str, at_ns: int) -> OpaqueFlow:
        """A connection is opaque from now on."""
        self.counts[kind, reason] = self.counts.get((kind, reason), 0) + 1
        return OpaqueFlow(self.kinds.setdefault(kind, OpaqueKind()), at_ns)

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

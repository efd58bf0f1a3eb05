"""Leaving HTTP/1.1: `Upgrade` with 101, and CONNECT with 2xx (RFC 9110, 7.8 and 9.3.6)."""

from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.flows.opaque import (
    CONNECT,
    TOO_LONG,
    UPGRADE,
    UPGRADED,
    WEBSOCKET,
    NotFollowedError,
)
from sidelight_sidecar.observer.http.http1_head import ResponseHead, tokens
from sidelight_sidecar.observer.http.transaction import Transaction

MAX_WAITING_BYTES = 4096
"""Bytes of the client after a request that offers another protocol."""
MAX_WAITING_READS = 64

Waiting = list[tuple[bytes, int, int]]
"""Bytes of the client with their time and the relay's delay."""


class UpgradedToHttp2Error(Exception):
    """Both sides go on in HTTP/2 (RFC 7540, 3.2).

    Attributes:
        transaction: the request that offered it; its response comes on stream 1.
        settings: the client's, base64url.
        rest: bytes of the engine that followed.
        waiting: bytes of the client that followed.
    """

    def __init__(
        self, transaction: Transaction, settings: bytes, rest: bytes, waiting: Waiting
    ) -> None:
        super().__init__()
        self.transaction = transaction
        self.settings = settings
        self.rest = rest
        self.waiting = waiting


class Offer:
    """A request that offers another protocol, and what the client sent after it.

    Attributes:
        whole: the request is; from here on bytes are of one protocol or of the other.
        waiting: such bytes.
    """

    __slots__ = ("_settings", "_size", "transaction", "waiting", "whole")

    def __init__(self, transaction: Transaction, headers: Headers) -> None:
        self.transaction = transaction
        self._settings = headers.get(b"http2-settings", b"")[:MAX_WAITING_BYTES]
        self._size = 0
        self.whole = False
        self.waiting: Waiting = []

    def wait(self, data: bytes, at_ns: int, delay_ns: int) -> None:
        """Keep bytes until the engine has spoken.

        Raises:
            NotFollowedError: too many of them.
        """
        self.waiting.append((data, at_ns, delay_ns))
        self._size += len(data)
        if self._size > MAX_WAITING_BYTES or len(self.waiting) > MAX_WAITING_READS:
            raise NotFollowedError(TOO_LONG)

    def to_http2(self, head: ResponseHead) -> bool:
        """Whether this response takes the offer of HTTP/2."""
        return head.status == 101 and _protocols(head) == [b"h2c"]

    def upgraded(self, rest: bytes) -> UpgradedToHttp2Error:
        """How it goes on in HTTP/2; `rest` came after the response's head."""
        return UpgradedToHttp2Error(self.transaction, self._settings, rest, self.waiting)

    def left(self, head: ResponseHead, rest: bytes) -> NotFollowedError:
        """How it goes on in another protocol."""
        if head.status != 101:
            return NotFollowedError(UPGRADED, CONNECT, len(rest))
        kind = WEBSOCKET if _protocols(head) == [b"websocket"] else UPGRADE
        return NotFollowedError(UPGRADED, kind, len(rest))


def _protocols(head: ResponseHead) -> list[bytes]:
    return tokens(head.headers.get(b"upgrade", b""))

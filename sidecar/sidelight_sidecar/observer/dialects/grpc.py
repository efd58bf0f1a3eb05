"""Calls of gRPC: the status is in the trailers (or in the head, when there is nothing else).

`Grpc` reads that of any call. What a call's messages mean is for the classes that know its schema.
"""

from typing import ClassVar
from urllib.parse import unquote_to_bytes

from sidelight_sidecar.observer.dialects.base import Dialect, Framing, Headers

_CLASSES = {
    "1": "client_disconnect",  # CANCELLED
    "2": "server_error",  # UNKNOWN
    "3": "invalid_request",  # INVALID_ARGUMENT
    "4": "timeout",  # DEADLINE_EXCEEDED
    "5": "not_found",  # NOT_FOUND
    "6": "invalid_request",  # ALREADY_EXISTS
    "7": "auth",  # PERMISSION_DENIED
    "8": "rate_limited",  # RESOURCE_EXHAUSTED
    "9": "invalid_request",  # FAILED_PRECONDITION
    "10": "server_error",  # ABORTED
    "11": "invalid_request",  # OUT_OF_RANGE
    "12": "not_found",  # UNIMPLEMENTED
    "13": "server_error",  # INTERNAL
    "14": "overloaded",  # UNAVAILABLE
    "15": "server_error",  # DATA_LOSS
    "16": "auth",  # UNAUTHENTICATED
}
"""Classes of errors (CONVENTIONS 3.4) by gRPC status."""


class Grpc(Dialect):
    """Any call."""

    name: ClassVar[str] = "grpc"
    _status = ""

    def framing(self, content_type: str) -> Framing:
        """Messages, in whatever encoding; anything else is somebody's error page."""
        if content_type.startswith("application/grpc"):
            return Framing.MESSAGES
        return super().framing(content_type)

    def head(self, status: int, headers: Headers) -> None:
        """HTTP's status; gRPC's too, where nothing else comes."""
        super().head(status, headers)
        self._take(headers)

    def trailers(self, headers: Headers) -> None:
        """The status."""
        self._take(headers)

    def ended(self) -> bool:
        """Every call ends with a status."""
        return bool(self._status)

    def _take(self, headers: Headers) -> None:
        status = headers.get(b"grpc-status", b"")[:8].decode("latin-1").strip()
        if not status:
            return
        self._status = status
        if status == "0":
            return
        exchange = self.exchange
        exchange.error = _CLASSES.get(status, "_OTHER")
        said = unquote_to_bytes(headers.get(b"grpc-message", b"")[:1024])
        self.fail(said.decode("utf-8", "replace"))

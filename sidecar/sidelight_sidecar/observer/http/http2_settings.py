"""SETTINGS of HTTP/2: the two that a passive reader needs (RFC 9113, 6.5.2)."""

import base64
import binascii
from struct import Struct

from sidelight_sidecar.observer.flows.opaque import MALFORMED, NotFollowedError

_HEADER_TABLE_SIZE = 0x1
_MAX_FRAME_SIZE = 0x5
_FRAME_BYTES = range(1 << 14, 1 << 24)
_PAIR = Struct(">HI")


class Settings:
    """What one side announces.

    Attributes:
        table_bytes: the largest table for the headers that it receives, if it says so.
        frame_bytes: the longest frame that it receives, if it says so.
    """

    __slots__ = ("frame_bytes", "table_bytes")

    def __init__(self, payload: bytes) -> None:
        """Read the payload of a frame.

        Raises:
            NotFollowedError: it is none.
        """
        self.table_bytes: int | None = None
        self.frame_bytes: int | None = None
        if len(payload) % _PAIR.size:
            raise NotFollowedError(MALFORMED)
        for name, value in _PAIR.iter_unpack(payload):
            if name == _HEADER_TABLE_SIZE:
                self.table_bytes = max(self.table_bytes or 0, value)
            elif name == _MAX_FRAME_SIZE:
                if value not in _FRAME_BYTES:
                    raise NotFollowedError(MALFORMED)
                self.frame_bytes = value


def from_upgrade(value: bytes) -> Settings:
    """Read an `HTTP2-Settings` header (RFC 7540, 3.2.1).

    Raises:
        NotFollowedError: it is none.
    """
    try:
        payload = base64.b64decode(value + b"=" * (-len(value) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotFollowedError(MALFORMED) from error
    return Settings(payload)

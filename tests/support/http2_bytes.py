"""HTTP/2 written by hand: frames, and header blocks of literals alone (RFC 9113, 7541)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_CANCEL = 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream: int, fields: Mapping[str, str], *, end: bool = False) -> bytes:
    """A header block in one frame; each field is a literal that no table keeps."""
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return frame(_HEADERS, _END_HEADERS | (_END_STREAM if end else 0), stream, block)


def data(stream: int, payload: bytes, *, end: bool = False) -> bytes:
    """Bytes of a body."""
    return frame(_DATA, _END_STREAM if end else 0, stream, payload)


def reset(stream: int) -> bytes:
    """The stream is cancelled."""
    return frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL))


def settings() -> bytes:
    """Settings, all as they are by default."""
    return frame(_SETTINGS, 0, 0)


def settings_ack() -> bytes:
    """The other side's settings are in force."""
    return frame(_SETTINGS, _ACK, 0)


def event_of(chunk: bytes) -> bytes:
    """What is in an HTTP/1.1 chunk."""
    return chunk.partition(b"\r\n")[2].removesuffix(b"\r\n")

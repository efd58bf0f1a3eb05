"""What a connection speaks, by the first bytes of its client.

Nothing is decided before the bytes decide it: `P` may begin `POST`, or HTTP/2's preface.
"""

import re
from enum import Enum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113, 3.4."""

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: |\Z)")
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
_MAX_TLS_RECORD = (1 << 14) + 256
_TLS_RECORD_TYPES = frozenset(range(0x14, 0x18))


class Spoken(Enum):
    """What the first bytes are."""

    UNDECIDED = "undecided"
    HTTP1 = "http1"
    HTTP2 = "http2"
    TLS = "tls"
    UNKNOWN = "unknown"


def spoken(first: bytes) -> Spoken:
    """What `first`, all that the client has sent yet, is the beginning of."""
    first = first.lstrip(b"\r\n")  # empty lines before a request line are legal
    if not first:
        return Spoken.UNDECIDED
    if first[0] in _TLS_RECORD_TYPES:
        if len(first) < 3 and (len(first) == 1 or first[1] == 3):
            return Spoken.UNDECIDED
        return Spoken.TLS if _TLS_RECORD.match(first) else Spoken.UNKNOWN
    if first.startswith(PREFACE):
        return Spoken.HTTP2
    if PREFACE.startswith(first):
        return Spoken.UNDECIDED
    return Spoken.HTTP1 if _METHOD.match(first) else Spoken.UNKNOWN


def is_tls_record(data: bytes) -> bool:
    """Whether bytes from the middle of a connection begin with the head of a TLS record."""
    return (
        len(data) >= 5
        and _TLS_RECORD.match(data) is not None
        and int.from_bytes(data[3:5], "big") <= _MAX_TLS_RECORD
    )

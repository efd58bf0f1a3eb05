"""JSON Web Tokens: three parts in base64url, of which the first says an algorithm."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Collection, Iterator

import msgspec

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import EDGE, Verdict, compiled, scan, token_end, unescaped

# {" in base64 begins eyJ. A token that was cut off still has its payload, with names and claims.
_SOURCE = EDGE + rb"eyJ[A-Za-z0-9_-]{8}"
_PATTERN = compiled(_SOURCE)
_RUN = compiled(rb"[A-Za-z0-9_-]*")
_HEADER_BYTES = 4096


class Header(msgspec.Struct):
    """What tells a token's header: `alg`, which RFC 7515 and 7516 require."""

    alg: str


_DECODER = msgspec.json.Decoder(Header)


class WebTokens:
    """Finds JSON Web Tokens."""

    names = ("jwt",)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge) if b"eyJ" in data else iter(())


def _judge(data: bytes, start: int, end: int) -> Verdict:
    start = unescaped(data, start)
    header_end = token_end(_RUN, data, end)
    if not _is_header(data[start:header_end]) or data[header_end : header_end + 1] != b".":
        return None, header_end
    stop = header_end
    for _ in range(4):  # JWE has five parts
        if data[stop : stop + 1] != b".":
            break
        stop = token_end(_RUN, data, stop + 1)
    if data[stop - 1] == 0x2E:
        stop -= 1
    return (Finding(start, stop, "jwt"), stop) if stop > header_end else (None, header_end)


def _is_header(part: bytes) -> bool:
    """Say whether a part decodes to a JSON object with an algorithm."""
    if len(part) > _HEADER_BYTES:
        return False
    try:
        _DECODER.decode(urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True

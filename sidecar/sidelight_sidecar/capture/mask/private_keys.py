"""Private keys in PEM armour (PKCS, OpenSSH, PGP), also cut off, also with escaped line breaks."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import Verdict, compiled, scan

_SOURCE = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PATTERN = compiled(_SOURCE)
# Line breaks as they are or escaped, and what programs put around lines.
_BREAK = rb"(?:[\s\"'+,>|]|\\+[nrt\"])"
_HEADERS = rb"(?:" + _BREAK + rb"*[A-Za-z][A-Za-z0-9-]{2,40}: [^\r\n\\]{1,200})*"
_LINES = rb"(?:" + _BREAK + rb"*[A-Za-z0-9+/=]{16,})*"
_BODY = compiled(
    _HEADERS + _LINES + rb"(?:" + _BREAK + rb"*[A-Za-z0-9+/=]{1,15})?"
    rb"(?:" + _BREAK + rb"*-----END [A-Z0-9 ]{0,60}-----)?"
)
_CUT = compiled(_HEADERS + _LINES)
_LEAST_BYTES = 16


class PrivateKeys:
    """Finds private keys, from their first line to their last one or to where they were cut."""

    names = ("private-key",)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge) if b"PRIVATE KEY" in data else iter(())


def _judge(data: bytes, start: int, end: int) -> Verdict:
    match = _BODY.match(data, end)
    stop = end if match is None else match.end()
    if not data[:stop].endswith(b"-----", end):
        # No last line: a short word behind the lines is the text's, not the key's.
        match = _CUT.match(data, end)
        stop = end if match is None else match.end()
    if stop - end < _LEAST_BYTES:
        return None, end
    return Finding(start, stop, "private-key"), stop

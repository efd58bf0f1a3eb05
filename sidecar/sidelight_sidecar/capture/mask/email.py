"""E-mail addresses, of Latin, Greek and Cyrillic letters too."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import WORD, Verdict, compiled, scan, unescaped

# A letter of two bytes: Latin with accents, Greek, Cyrillic, Armenian. These scripts put spaces
# between words; a Chinese sentence before an address does not, and must not be taken for its name.
# The same letters as JSON within JSON may write them.
_LETTER = rb"(?:[\xc3-\xd6][\x80-\xbf]|\\{1,4}u0(?:0[c-fC-F]|[1-5][0-9A-Fa-f])[0-9A-Fa-f])"
_LABEL = rb"(?:[A-Za-z0-9_-]|" + _LETTER + rb"){1,63}"
_PATTERN = compiled(
    rb"(?:[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]|" + _LETTER + rb")+"
    rb"@(?:" + _LABEL + rb"\.)+(?:(?:[A-Za-z]|" + _LETTER + rb"){2,24}|xn--[a-z0-9-]{2,59})"
)

# What ends like an address and is a file, such as `logo@2x.png`.
_FILES = frozenset(
    b"png jpg jpeg gif svg webp avif ico pdf js mjs css map json ts tsx jsx html htm".split()
)
_URL_BYTES = 80
_ENDS_USER = frozenset(b"/?# \t\r\n\"'<>")
# What a local part may hold, but begins or ends none: marks of the text around it.
_MARKS = b".!#$%&'*/=?^{|}~-+"


class Emails:
    """Finds e-mail addresses."""

    names = ("email",)
    pattern = b"@"

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge) if b"@" in data else iter(())


def _judge(data: bytes, start: int, end: int) -> Verdict:
    at = data.rindex(b"@", start, end)
    if start:
        start = max(start, unescaped(data, start - 1))
    while start < at and data[start] in _MARKS:
        start += 1
    name = data[start:at]
    last = data[data.rindex(b".", at, end) + 1 : end]
    if (
        not name
        or name == b"git"  # git@github.com:owner/repository is everybody's
        or last.lower() in _FILES
        or (end < len(data) and (data[end] in WORD or data[end] == 0x28))  # a call: x@y.mean()
        or _is_in_url(data, start)
    ):
        return None, end
    return Finding(start, end, "email"), end


def _is_in_url(data: bytes, start: int) -> bool:
    """Say whether `scheme://user:` stands before: then this is a password and a host."""
    before = data[max(start - _URL_BYTES, 0) : start]
    scheme = before.rfind(b"://")
    return before.endswith(b":") and scheme >= 0 and not _ENDS_USER & set(before[scheme + 3 : -1])

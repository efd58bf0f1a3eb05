"""IP addresses that can be somebody's: not loopback, not 0.0.0.0, no network mask."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import WORD, Verdict, compiled, is_escape, scan

_OCTET = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_V4 = _OCTET + rb"(?:\." + _OCTET + rb"){3}"
_GROUP = rb"[0-9A-Fa-f]{1,4}"
_V4_PATTERN = compiled(_V4)
_MORE = rb"(?::" + _GROUP + rb"){0,6}"
_V6_TAIL = rb"(?:(?:" + _GROUP + rb":){0,5}" + _V4 + rb"|" + _GROUP + _MORE + rb")"
_V6_PATTERN = compiled(
    rb"(?:" + _GROUP + rb":){6}(?:" + _V4 + rb"|" + _GROUP + rb":" + _GROUP + rb")"
    rb"|" + _GROUP + _MORE + rb"::" + _V6_TAIL + rb"?|::" + _V6_TAIL
)
# What says that four numbers are a version, a section or an object identifier.
_NO_ADDRESS = compiled(
    rb"(?i)(?:version|release|build|firmware|kernel|section|chapter|\xc2\xa7|\boid|objectidentifier"
    rb"|\bv|==|>=|<=|~=)[ :=\"'v(]{0,3}$"
)
_BACK_BYTES = 20


class AddressesV4:
    """Finds addresses of version 4."""

    names = ("ip-address",)
    pattern = _V4

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_V4_PATTERN, data, _judge_v4)


class AddressesV6:
    """Finds addresses of version 6."""

    names = ("ip-address",)

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        if b"::" in data or data.count(b":") > 6:
            yield from scan(_V6_PATTERN, data, _judge_v6)


def _judge_v4(data: bytes, start: int, end: int) -> Verdict:
    before, behind = data[max(start - 1, 0) : start], data[end : end + 1]
    if (
        (before and (before[0] in WORD or before in b".-") and not is_escape(data, start))
        or (behind and (behind[0] in WORD or behind == b"-"))
        or (behind == b"." and data[end + 1 : end + 2].isalnum())
        or data.startswith((b"0.", b"127.", b"255."), start)
        or _NO_ADDRESS.search(data[max(start - _BACK_BYTES, 0) : start])
    ):
        return None, end
    return Finding(start, end, "ip-address"), end


def _judge_v6(data: bytes, start: int, end: int) -> Verdict:
    before, behind = data[max(start - 1, 0) : start], data[end : end + 1]
    if (before and (before[0] in WORD or before in b":.") and not is_escape(data, start)) or (
        behind and (behind[0] in WORD or behind == b":")
    ):
        return None, end
    text = data[start:end]
    try:
        address = ipaddress.IPv6Address(text.decode())
    except ValueError:
        return None, end
    if address.is_loopback or address.is_unspecified or not _is_written_as_address(text):
        return None, end
    return Finding(start, end, "ip-address"), end


def _is_written_as_address(text: bytes) -> bool:
    """Tell an address from `ab::cd` of a program, and from eight bytes of a hardware address."""
    groups = [group for group in text.split(b":") if group]
    return (
        any(byte in b"0123456789" for byte in text)
        and (len(groups) > 2 or len(groups[0]) == 4 or b"." in text)
        and (b"::" in text or any(len(group) > 2 for group in groups))
    )

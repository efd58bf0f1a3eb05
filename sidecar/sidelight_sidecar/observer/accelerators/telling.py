"""Where exporters are, as it is told: by the controller with each summary, or at the start.

Rules:
1. `kind=ADDRESS:PORT` with `dcgm` or `amd`, several with ", " between, or `none`. An address is a
   number: a name could lead anywhere, at any later time. IPv6 is in brackets.
2. What is anything else is not used, and counted.
3. Soft: `KEPT_SECONDS` after the last telling nothing is known any more. What is given at the start
   (an option, or `SIDELIGHT_ACCELERATORS`) holds where nothing is told.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping

from sidelight_contract.gpu import GpuSource

KEPT_SECONDS = 45.0
"""Three rounds of a controller."""
KINDS = ("dcgm", "amd")
"""The first is preferred."""
KIND_OF = {GpuSource.DCGM: KINDS[0], GpuSource.AMD: KINDS[1]}
NONE = "none"
MAX_LENGTH = 512
_ONE = re.compile(r"(dcgm|amd)=(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([1-9][0-9]{0,4})")

Addresses = Mapping[str, str]


def parse(text: str) -> tuple[dict[str, str], int]:
    """Addresses by kind, and how many parts are no such thing; of a kind the first counts."""
    if len(text) > MAX_LENGTH:
        return {}, 1
    found: dict[str, str] = {}
    refused = 0
    for part in text.split(", "):
        if part == NONE:
            continue
        kind, address = _one(part)
        if not address or kind in found:
            refused += 1
        else:
            found[kind] = address
    return found, refused


def _one(part: str) -> tuple[str, str]:
    """Kind and address, as it is written in a URL; "" where it is none."""
    match = _ONE.fullmatch(part)
    if match is None or int(match[4]) > 65535:
        return "", ""
    try:
        address = ipaddress.ip_address(match[2] or match[3])
    except ValueError:
        return "", ""
    if (address.version == 6) != bool(match[2]):
        return "", ""
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return "", ""
    host = f"[{address}]" if address.version == 6 else str(address)
    return match[1], f"{host}:{match[4]}"


class Told:
    """What is known of exporters.

    Args:
        now_ns: monotonic nanoseconds.
        given: at the start.

    Attributes:
        refused: how many parts of what was told were no address.
    """

    def __init__(self, now_ns: Callable[[], int], given: Addresses | None = None) -> None:
        self._now_ns = now_ns
        self._given = dict(given) if given else None
        self._told: dict[str, str] = {}
        self._until_ns = 0
        self.refused = 0

    def tell(self, header: str) -> None:
        """Somebody with the token says where exporters are; a wrong word changes nothing."""
        found, refused = parse(header)
        self.refused += refused
        if found or not refused:
            self._told = found
            self._until_ns = self._now_ns() + int(KEPT_SECONDS * 1e9)

    def now(self) -> Addresses | None:
        """What is known; empty: there is none; None: nobody has said, or not lately."""
        if self._now_ns() < self._until_ns:
            return self._told
        return self._given

"""International bank account numbers: a country's length, groups of four, the rest by 97."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sidelight_sidecar.capture.mask.checksums import mod97
from sidelight_sidecar.capture.mask.finding import Finding
from sidelight_sidecar.capture.mask.scan import EDGE, WORD, Verdict, compiled, scan, unescaped

# From the IBAN registry of SWIFT.
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
LENGTHS = {entry[:2].encode(): int(entry[2:]) for entry in _LENGTHS.split()}

_SOURCE = rb"(?i)" + EDGE + rb"[A-Z]{2}\d\d(?:[ -]?[A-Z0-9]){11,30}"
_PATTERN = compiled(_SOURCE)
# Python's own `re`, on what has at most 68 bytes, and without a choice to go back to.
_GROUPED = re.compile(rb"(?:[A-Z0-9]{4}[ -])+[A-Z0-9]{1,4}\Z")


class Ibans:
    """Finds account numbers."""

    names = ("iban",)
    pattern = _SOURCE

    def __init__(self, wanted: Collection[str]) -> None:
        del wanted  # it has one name only

    def find(self, data: bytes) -> Iterator[Finding]:
        """Yield the findings in folded bytes."""
        return scan(_PATTERN, data, _judge)


def _judge(data: bytes, start: int, end: int) -> Verdict:
    start = unescaped(data, start)
    text = data[start:end].upper()
    size = LENGTHS.get(text[:2], 0)
    stop = _stop(text, size)
    if not size or stop is None or (start + stop < len(data) and data[start + stop] in WORD):
        return None, start + 4
    text = text[:stop]
    plain = text.translate(None, b" -")
    if (len(plain) == len(text) or _GROUPED.match(text)) and mod97(plain[4:] + plain[:4]) == 1:
        return Finding(start, start + stop, "iban"), start + stop
    return None, start + 4


def _stop(text: bytes, size: int) -> int | None:
    """Return where so many letters and digits end."""
    seen = 0
    for place, byte in enumerate(text):
        seen += byte in WORD
        if seen == size:
            return place + 1
    return None

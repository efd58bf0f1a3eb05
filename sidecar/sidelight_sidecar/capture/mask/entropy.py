"""How random a value looks."""

from __future__ import annotations

from collections import Counter
from math import log2


def bits_per_byte(value: bytes) -> float:
    """Return Shannon's entropy: 0 for one byte repeated, 4 for random hex, 6 for base64 at most."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())

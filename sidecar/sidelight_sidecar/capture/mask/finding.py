"""A finding, and the label that stands in its place."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What a detector found: bytes of the text that was searched, and the detector's name."""

    start: int
    end: int
    name: str


def label(name: str) -> str:
    """Return what a finding of this name is replaced by: `us-ssn` by `[US_SSN]`."""
    return f"[{name.upper().replace('-', '_')}]"

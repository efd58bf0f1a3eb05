"""The relay's log: a line at the start, at each restart of the observer, and at the end."""

from __future__ import annotations

import os

_speaker = ["relay"]


def speak_as(component: str) -> None:
    """Name another component in every line from now on."""
    _speaker[0] = component


def log(event: str, fields: str) -> None:
    """Write one JSON line to stderr; `fields` are JSON members, of the relay's own words only."""
    try:
        os.write(2, f'{{"component":"{_speaker[0]}","event":"{event}",{fields}}}\n'.encode())
    except OSError:
        return  # a full or closed log must not stop traffic

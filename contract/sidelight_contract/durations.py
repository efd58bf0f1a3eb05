"""Durations as people write them in Kubernetes objects: `500ms`, `1.5s`, `2m`, and back."""

import math
import re

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds in `text`, a Go-style duration such as `500ms` or `1m30s`.

    Raises:
        ValueError: `text` is no such duration; the message shows one that is.
    """
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group(0) for part in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write it like 500ms, 1.5s or 2m")
    return sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)


def format_duration(seconds: float) -> str:
    """`seconds` with three significant digits and a unit: `812us`, `41.3ms`, `1.24s`.

    Three digits are more than a sketch with 1 % error knows, and keep a status from changing
    with every request.
    """
    for unit, scale in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < scale * 999.5:
            return f"{round_significant(seconds / scale)}{unit}"
    return f"{round_significant(seconds)}s"


def round_significant(value: float, digits: int = 3) -> str:
    """`value` in plain decimals with `digits` significant digits: `0.0123`, `4.57`, `1230`."""
    if value == 0 or not math.isfinite(value):
        return "0"
    shown = f"{value:.{digits - 1}e}"  # rounds, also over the next power of ten
    places = digits - 1 - int(shown.rsplit("e", 1)[1])
    return f"{float(shown):.{max(places, 0)}f}"

"""What an engine says in its answer of where the time went: Ollama, llama.cpp, and in part TGI."""

from typing import NamedTuple

_MS = 1_000_000
_MOST_NS = 1 << 50
"""Thirteen days: more is no time that a request took."""


class EngineTimes(NamedTuple):
    """Nanoseconds, by the engine's own clock; None: it does not say."""

    before_ns: int | None = None
    """Before it computed anything: in the queue (TGI), or while the model was loaded (Ollama)."""
    prefill_ns: int | None = None
    """On the prompt."""
    decode_ns: int | None = None
    """On the output."""


def nanoseconds(value: object) -> int | None:
    """`value` if it is a number of nanoseconds."""
    return value if type(value) is int and 0 <= value < _MOST_NS else None


def milliseconds(value: object) -> int | None:
    """Nanoseconds, if `value` is a number of milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * _MS) if 0 <= value < _MOST_NS / _MS else None

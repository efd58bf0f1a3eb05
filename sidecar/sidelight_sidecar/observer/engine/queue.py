"""How many requests wait in an engine's queue, as the engine says itself.

Most engines say it in their metrics (`signals`); llama.cpp's slots and SGLang's load say it where
metrics are off.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec


class Source(NamedTuple):
    """One place where an engine may tell."""

    path: str
    waiting: Callable[[bytes], float | None]
    """What its answer says; None: nothing of a queue."""


def from_slots(body: bytes) -> float | None:
    """llama.cpp's slots: with all of them busy one more request would wait."""
    slots = _json(body)
    if not isinstance(slots, list) or not slots:
        return None
    busy = [bool(slot.get("is_processing")) for slot in slots if isinstance(slot, dict)]
    return float(all(busy)) if busy else None


def from_load(body: bytes) -> float | None:
    """SGLang's load: waiting requests of each rank."""
    ranks = _json(body)
    if not isinstance(ranks, list):
        ranks = [ranks]
    waiting = [rank.get("num_waiting_reqs") for rank in ranks if isinstance(rank, dict)]
    counts = [count for count in waiting if isinstance(count, int | float)]
    return float(sum(counts)) if counts else None


METRICS_PATH = "/metrics"
OTHER_SOURCES = (
    Source("/slots", from_slots),
    Source("/get_load", from_load),
)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

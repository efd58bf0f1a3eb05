"""Why the slowest and the failed requests of a window were so: what a sidecar tells of them.

Rules:
1. No payload, no path, no client: times, sizes, and one sentence of fixed words and numbers.
2. Bounded: `MAX_SLOW` and `MAX_FAILED` of a sidecar or of many; each is below 1 kB as JSON.
3. Merging keeps the first of each kind by a total order, so it is associative and commutative.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

import msgspec

One = TypeVar("One")
MAX_SLOW = 5
MAX_FAILED = 3


class Cause(StrEnum):
    """The likely cause; docs/autopsy.md has a row for each."""

    SLOW_UPLOAD = "slow_upload"
    SLOW_READER = "slow_reader"
    PREEMPTION = "preemption"
    LONG_PROMPT_NEIGHBOUR = "long_prompt_neighbour"
    QUEUED = "queued"
    LONG_PROMPT = "long_prompt"
    UPSTREAM_STALL = "upstream_stall"
    GPU_THROTTLED = "gpu_throttled"
    CROWDED = "crowded"
    MANY_TOKENS = "many_tokens"
    CLIENT_LEFT = "client_left"
    OVERLOADED = "overloaded"
    ENGINE_RESET = "engine_reset"
    ENGINE_UNREACHABLE = "engine_unreachable"
    ENGINE_ERROR = "engine_error"
    UNKNOWN = "unknown"


class Autopsy(msgspec.Struct, omit_defaults=True, frozen=True):
    """One exchange. Times in milliseconds."""

    model: str
    operation: str
    at: float
    """Unix seconds at which it began."""
    cause: str
    said: str
    """The cause with its evidence, in a sentence."""
    times_usual: float = 1.0
    """Its duration, or its time to first token, by what is usual for its size."""
    code: int = 0
    error: str = ""
    """Its class; empty: it did not fail."""
    duration_ms: int = 0
    upload_ms: int = 0
    wait_ms: int = 0
    """From the whole request to the first output: queue and prefill together."""
    queue_ms: int | None = None
    """Of that, the queue; None: the engine does not say."""
    prefill_ms: int | None = None
    decode_ms: int = 0
    """From the first output to the last."""
    held_ms: int = 0
    """The relay waited for the client to read."""
    relay_us: int | None = None
    """Microseconds that the relay held the request."""
    stalls: list[tuple[int, int]] = []
    """After how many outputs, and how long: the longest."""
    in_flight: int = 0
    """When it arrived, itself included."""
    running: float | None = None
    """By the engine's word nearest to its arrival; None: it said nothing in time."""
    waiting: float | None = None
    kv_cache_usage: float | None = None
    preemptions: float | None = None
    """Requests that the engine preempted, from its last word before this one to its first after."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    joules: float | None = None
    """Its share of the devices' energy above idle; None: samples are not dense enough for one
    request, or it is not settled yet."""


def worst(autopsies: Iterable[Autopsy]) -> list[Autopsy]:
    """The slowest first, then those that failed last, the newest of each class before the second
    of any: what is kept of many, in whatever groups they are added.
    """
    slow: list[Autopsy] = []
    failed: list[Autopsy] = []
    for autopsy in autopsies:
        (failed if autopsy.error else slow).append(autopsy)
    slow.sort(key=lambda a: (-a.times_usual, -a.duration_ms, *_ties(a)))
    failed.sort(key=lambda a: (-a.at, *_ties(a)))
    return slow[:MAX_SLOW] + of_each_kind(failed, lambda autopsy: autopsy.error)[:MAX_FAILED]


def of_each_kind(ordered: Iterable[One], kind: Callable[[One], str]) -> list[One]:
    """In turns, one of each kind; else in their order. A flood of one does not hide the others."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, One]] = []
    for one in ordered:
        turn = seen[kind(one)] = seen.get(kind(one), 0) + 1
        turns.append((turn, one))
    return [one for _, one in sorted(turns, key=lambda pair: pair[0])]


def _ties(autopsy: Autopsy) -> tuple[float, str, bytes]:
    return (autopsy.at, autopsy.said, msgspec.json.encode(autopsy))

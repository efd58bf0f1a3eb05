"""Sums of what requests took, apart by what they were: what one version can be compared with
another by.

A slower version and a version with longer prompts look alike in a mean. So a sidecar adds up its
requests by stratum: the served model, how long prompt and output were, whether the answer was
streamed, and how many requests were in flight when this one arrived. The operator compares the same
strata of two versions in the same minute.

Rules:
1. Everything is a sum of integers, logarithms too (`LOG_UNIT` to the e-fold): adding is exactly
   associative and commutative, and a span of time is the difference of two readings.
2. Buckets are few and fixed. A length that nobody told is a bucket of its own, never a guess.
3. Bounded: at most `MAX_STRATA` rows of some 130 bytes (`MAX_STRATUM_BYTES` at most, with a long
   name); requests beyond them are counted in `left_out`, and in no row.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from sidelight_contract.sketch import Count

PROMPT_BOUNDS = (128, 512, 2048, 8192, 32768)
"""Tokens, each bucket with its upper bound."""
OUTPUT_BOUNDS = (16, 64, 256, 1024, 4096)
"""Tokens."""
CONCURRENCY_BOUNDS = (1, 2, 4, 8, 16, 32, 64)
"""Requests in flight in the pod when it arrived, itself included."""
UNKNOWN = 0
"""The bucket of a length that the engine did not tell; the first of those it did is 1."""
MAX_STRATA = 1000
"""For one sidecar. One model has 784 possible ones, and some tens that occur."""
MAX_STRATUM_BYTES = 400
"""Of one row as JSON, with a model's name of 128 characters."""
LOG_UNIT = 10_000
"""Steps to an e-fold: a logarithm is off by half of 0.01 % at most. Squares of 10^8 requests still
fit 64 bits."""

_SHORTEST = 1e-6

Key = tuple[str, int, int, int, int]
"""Model, prompt bucket, output bucket, streamed (0 or 1), concurrency bucket."""


class LogSums(msgspec.Struct, array_like=True):
    """How many durations, the sum of their logarithms, and of the squares of these."""

    count: Count = 0
    total: int = 0
    squares: Count = 0

    def take(self, seconds: float | None) -> None:
        """Count one duration; None is none."""
        if seconds is not None:
            steps = round(math.log(max(seconds, _SHORTEST)) * LOG_UNIT)
            self.count += 1
            self.total += steps
            self.squares += steps * steps

    def add(self, other: "LogSums", sign: int = 1) -> None:
        """Add all of `other`, or take it away."""
        self.count += sign * other.count
        self.total += sign * other.total
        self.squares += sign * other.squares


class Stratum(msgspec.Struct, array_like=True):
    """The requests of one stratum. On the wire a row without names: there are many."""

    model: str
    prompt: int
    output: int
    streamed: int
    concurrency: int
    requests: Count = 0
    failed: Count = 0
    """Of them, those that failed through the engine's fault."""
    time_to_first_token: LogSums = msgspec.field(default_factory=LogSums)
    time_per_output_token: LogSums = msgspec.field(default_factory=LogSums)
    duration: LogSums = msgspec.field(default_factory=LogSums)
    """Of those without any error: a quick refusal is no quick answer."""

    @property
    def key(self) -> Key:
        """What tells it from the others."""
        return self.model, self.prompt, self.output, self.streamed, self.concurrency

    def called(self, model: str) -> "Stratum":
        """The same as if another model had answered."""
        renamed = Stratum(model, *self.key[1:])
        renamed.add(self)
        return renamed

    def add(self, other: "Stratum", sign: int = 1) -> None:
        """Add all of `other`, or take it away; the key stays this one's."""
        self.requests += sign * other.requests
        self.failed += sign * other.failed
        self.time_to_first_token.add(other.time_to_first_token, sign)
        self.time_per_output_token.add(other.time_per_output_token, sign)
        self.duration.add(other.duration, sign)


class Strata(msgspec.Struct, omit_defaults=True):
    """All strata of a sidecar since its observer's start, or of several."""

    rows: list[Stratum] = []
    left_out: int = 0
    """Requests of strata beyond `MAX_STRATA`."""

    def merge(self, other: "Strata") -> None:
        """Add all of `other`, row by row; over pods the bound is that of possible strata."""
        mine = {row.key: row for row in self.rows}
        for row in other.rows:
            if row.key not in mine:
                mine[row.key] = Stratum(*row.key)
            mine[row.key].add(row)
        self.rows = list(mine.values())
        self.left_out += other.left_out


def bucket(tokens: int | None, bounds: tuple[int, ...]) -> int:
    """The bucket of a length; `UNKNOWN` for None."""
    return UNKNOWN if tokens is None else 1 + bisect_left(bounds, tokens)


def key_of(
    model: str,
    prompt_tokens: int | None,
    output_tokens: int | None,
    *,
    streamed: bool,
    concurrency: int,
) -> Key:
    """The stratum of a request."""
    return (
        model,
        bucket(prompt_tokens, PROMPT_BOUNDS),
        bucket(output_tokens, OUTPUT_BOUNDS),
        int(streamed),
        bisect_left(CONCURRENCY_BOUNDS, concurrency),
    )


def add_since(sums: dict[Key, Stratum], before: Iterable[Stratum], now: Iterable[Stratum]) -> None:
    """Add to `sums` what came to `before` until `now`, both told by one observer."""
    known = {row.key: row for row in before}
    for row in now:
        old = known.get(row.key)
        if old is not None and old.requests == row.requests:
            continue  # most have no news in a minute
        if row.key not in sums:
            sums[row.key] = Stratum(*row.key)
        sums[row.key].add(row)
        if old is not None:
            sums[row.key].add(old, -1)

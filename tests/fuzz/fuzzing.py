"""The fuzzer: inputs made from what is known, those kept that show something new, until one fails.

Plain Python without coverage: what an input made of the pipeline (`target.one_input`'s answer) says
whether it is new. The same seed gives the same inputs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

from inputs import Record, decode, encode
from mutate import cut, mutate_bytes, mutate_records, mutate_talk
from talks import recordings, records, seeds
from target import one_input

CRASHES = Path(__file__).parents[1] / "fixtures" / "crashes"
MAX_KEPT = 3000
THOROUGH_EVERY = 16
"""Exposition and summary are ten times the cost of all else; one input in so many is asked them."""
MAX_SHRINKING = 2000


class Fuzzer:
    """Makes inputs, one after another.

    Attributes:
        tried: inputs so far.
        kept: inputs that showed something new.
        slowest: processor seconds and input.
    """

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._talks = seeds()
        self.kept: list[list[Record]] = recordings()
        self.kept += [records([talk], 1, http2=talk.http2) for talk in self._talks]
        self._seen: set[tuple[object, ...]] = set()
        self.tried = 0
        self.slowest = (0.0, b"")

    def step(self) -> bytes | None:
        """Try one input; return it if something did not hold."""
        made = self.made()
        settings = self._rng.choice([0, 1, 1, self._rng.randrange(256)])
        data = encode(settings, made)
        if self._rng.random() < 0.05:
            data = mutate_bytes(self._rng, data)
        self.tried += 1
        begun = time.process_time()
        try:
            seen = one_input(data, thorough=zlib.crc32(data) % THOROUGH_EVERY == 0)
        except Exception:  # noqa: BLE001 - whatever it is, it is found
            return data
        spent = time.process_time() - begun
        if spent > self.slowest[0]:
            self.slowest = (spent, data)
        if seen not in self._seen:
            self._seen.add(seen)
            self._keep(made)
        return None

    def _keep(self, made: list[Record]) -> None:
        if len(self.kept) < MAX_KEPT:
            self.kept.append(made)
        else:
            self.kept[self._rng.randrange(len(self.kept))] = made

    def made(self) -> list[Record]:
        rng = self._rng
        if rng.random() < 0.5:
            several = [
                mutate_talk(rng, rng.choice(self._talks), rng.choice(self._talks))
                for _ in range(rng.choice([1, 1, 1, 2, 3]))
            ]
            http2 = rng.random() < 0.3 or several[0].http2
            try:
                made = records(several, rng.randrange(8), http2=http2)
            except Exception:  # noqa: BLE001 - h2 refuses to send some of it
                made = records(several, 1)
            made = cut(made)
            if rng.random() < 0.4 or not made:
                return made
        else:
            made = rng.choice(self.kept)
        return mutate_records(rng, made, rng.choice(self.kept))


def fails(data: bytes) -> str:
    """What does not hold with this input; empty: all holds."""
    try:
        one_input(data)
    except Exception as error:  # noqa: BLE001 - see above
        return f"{type(error).__name__}: {error}"
    return ""


class _Shrinker:
    """Takes away what the failure does not need: records, then their bytes."""

    def __init__(self, data: bytes, what: Callable[[bytes], str]) -> None:
        self._what = what
        self._first = what(data)
        self._left = MAX_SHRINKING
        self.settings, self.made = decode(data)

    def _still(self, settings: int, made: list[Record]) -> bool:
        if not self._left:
            return False
        self._left -= 1
        return self._what(encode(settings, made)) == self._first

    def records(self) -> None:
        """Leave out records, many at a time and then one by one."""
        size = len(self.made)
        while size:
            start = 0
            while start < len(self.made):
                fewer = self.made[:start] + self.made[start + size :]
                if self._still(self.settings, fewer):
                    self.made = fewer
                else:
                    start += size
            size //= 2

    def payload(self, at: int) -> None:
        """Leave out bytes of one record."""
        size = len(self.made[at].payload)
        while size:
            start = 0
            while start < len(payload := self.made[at].payload):
                shorter = self.made[at]._replace(payload=payload[:start] + payload[start + size :])
                made = [*self.made[:at], shorter, *self.made[at + 1 :]]
                if self._still(self.settings, made):
                    self.made = made
                else:
                    start += size
            size //= 2

    def bits(self) -> None:
        """Leave out settings."""
        for bit in range(8):
            less = self.settings & ~(1 << bit)
            if less != self.settings and self._still(less, self.made):
                self.settings = less


def shrink(data: bytes, what: Callable[[bytes], str] = fails) -> bytes:
    """A smaller input that fails in the same way."""
    shrinker = _Shrinker(data, what)
    shrinker.records()
    shrinker.bits()
    for at in range(len(shrinker.made)):
        shrinker.payload(at)
    smaller = encode(shrinker.settings, shrinker.made)
    return smaller if what(smaller) else data


def keep_crash(data: bytes) -> Path:
    """Write an input to where a test replays it."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    path = CRASHES / f"{sha256(data).hexdigest()[:12]}.input"
    path.write_bytes(data)
    return path

"""How long something that ships may still go on: for ever, until it is told that the end is near.

What is under way when it is told is cut short, too: a sink that never answers would else hold up
all others at the end of a pod.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests have their own."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def unix(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        """Wait so long, or until `wake` is set."""


class WallClock:
    """The machine's."""

    def now(self) -> float:
        """Seconds, monotonic."""
        return asyncio.get_running_loop().time()

    def unix(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float, wake: asyncio.Event) -> None:
        """Wait so long, or until `wake` is set."""
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return


class TimeLeft:
    """Of one that ships; it sends one thing after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end_at: float | None = None
        self._under_way: asyncio.Timeout | None = None

    @property
    def ending(self) -> bool:
        """Whether the end is near."""
        return self._end_at is not None

    @property
    def over(self) -> bool:
        """Whether there is none left."""
        return self._end_at is not None and self._clock.now() >= self._end_at

    def end(self, within_seconds: float) -> None:
        """So much is left; also to what is under way."""
        self._end_at = self._clock.now() + within_seconds
        under_way = self._under_way
        if under_way is not None and not under_way.expired():
            when = asyncio.get_running_loop().time() + within_seconds
            under_way.reschedule(min(when, under_way.when() or when))

    def within(self, seconds: float) -> float:
        """So long, or what is left."""
        if self._end_at is None:
            return seconds
        return max(0.0, min(seconds, self._end_at - self._clock.now()))

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError after so long, or when there is none left."""
        async with asyncio.timeout(self.within(seconds)) as timeout:
            self._under_way = timeout
            try:
                yield
            finally:
                self._under_way = None

"""Records that a sink failed at while each was alone, and when one of them is given up. Pure.

A backend may answer 500 to one record for ever, or fall over it, or have a firewall before it that
does not let some word of it pass: no answer tells that from a backend that is down. What tells it
is that others pass.

Rules:
1. A record that failed alone is set aside, and those behind it go on.
2. It is tried alone again, later and later. That it fails again is a strike if what is behind
   passes right before and right after. `STRIKES` of these without once passing, and it is given up.
3. So a sink that is down, slow or at its limit costs no record, however long it is.
4. While nothing passes, those behind and those aside are tried in turn: whichever passes shows that
   the sink is back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sidelight_sidecar.capture.ship.policy import ShipSettings

STRIKES = 6
"""Default 6: half a minute at the least. Of a backend that fails at random, which is worst where it
fails at every second request, it gives up one in 15,000 of the records that failed alone."""


@dataclass(slots=True)
class _Suspect:
    not_before: float
    passed: int
    """How often others had passed when this one failed the last time."""
    tries: int = 1
    strikes: int = 0
    pending: bool = False
    """It failed after others had passed: a strike, if others pass next."""


class Aside:
    """Of one sink.

    Args:
        settings: how the sink is sent to.
        chance: draws from [0, 1).
    """

    def __init__(self, settings: ShipSettings, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._chance = chance
        self._suspects: dict[int, _Suspect] = {}
        self._passed = 0
        self._passes = False
        """Whether the last that was sent, of those that are not aside, passed."""
        self._turn = False
        """Whether it is for those aside to be tried, though nothing passes."""

    @property
    def full(self) -> bool:
        """Whether no other has room."""
        return len(self._suspects) >= self._settings.most_aside

    def put(self, number: int, now: float) -> None:
        """It failed alone."""
        self._suspects[number] = _Suspect(now + self._wait(1), self._passed)

    def others_passed(self) -> None:
        """The sink took what was behind."""
        self._passed += 1
        self._passes = True
        for suspect in self._suspects.values():
            suspect.strikes += suspect.pending
            suspect.pending = False

    def others_failed(self) -> None:
        """What is behind did not pass."""
        self._passes, self._turn = False, True
        for suspect in self._suspects.values():
            suspect.pending = False

    def due(self, now: float, *, others: bool) -> int | None:
        """Which one is to be tried now, if any.

        Args:
            now: seconds, monotonic.
            others: whether there is anything behind that could be tried instead.
        """
        times = [(when, number) for when, number in self._eligible(others) if when <= now]
        return min(times)[1] if times else None

    def wait_seconds(self, now: float, *, others: bool) -> float | None:
        """Until one may be tried; None: there is none whose turn it is."""
        times = [when for when, _ in self._eligible(others)]
        return max(0.0, min(times) - now) if times else None

    def _eligible(self, others: bool) -> Iterator[tuple[float, int]]:
        for number, suspect in self._suspects.items():
            if suspect.passed < self._passed or self._turn or not others:
                yield suspect.not_before, number

    def hurry(self) -> None:
        """All may be tried at once: there is little time left."""
        for suspect in self._suspects.values():
            suspect.not_before = 0.0

    def failed(self, number: int, now: float) -> bool:
        """It failed once more: whether that may be its own fault."""
        suspect = self._suspects[number]
        suspect.pending = self._passes and suspect.passed < self._passed
        suspect.passed = self._passed
        suspect.tries += 1
        suspect.not_before = now + self._wait(suspect.tries)
        self._turn = False
        return suspect.pending

    def given_up(self) -> list[int]:
        """Those against whom there is enough."""
        return [number for number, one in self._suspects.items() if one.strikes >= STRIKES]

    def forget(self, number: int) -> None:
        """It is settled, or there no more."""
        self._suspects.pop(number, None)

    def _wait(self, tries: int) -> float:
        """At least half of the longest, so that `STRIKES` are spread over some time."""
        how = self._settings
        ceiling = min(how.first_seconds * 2.0 ** min(tries - 1, 30), how.most_seconds)
        return ceiling * (0.5 + 0.5 * self._chance())

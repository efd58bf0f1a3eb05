"""What the controller remembers of requests judged by objectives. Pure: told times, no clock.

Rules:
1. A sidecar keeps its own rings of 24 hours, so of a pod that lives nothing is remembered that
   could be asked again: a controller that starts anew has the same figures at once.
2. Of a sidecar that ended, what it told last is added to its version; a controller that was not
   there then does not know of it, and says since when it was (`since`).
3. Counts under other thresholds than the present ones are forgotten.
Bounded: rings for each sidecar that lives, and for `MAX_ENDED` versions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sidelight_contract.slo import SloHistory

MAX_ENDED = 30
"""Versions whose ended sidecars are told apart; of further ones only the whole knows."""
ELSEWHERE = ""
"""The version of what is in the whole alone."""


@dataclass(frozen=True, slots=True)
class SloReading:
    """What one sidecar told."""

    uid: str
    """Its pod's."""
    boot_id: str
    revision: str
    """Of the thresholds that it judged by."""
    histories: Mapping[str, SloHistory]
    """By version: its pod's, and those of its adapters."""


class SloLedger:
    """One ObservedModel's."""

    def __init__(self) -> None:
        self._revision = ""
        self._living: dict[str, SloReading] = {}
        self._ended: dict[str, SloHistory] = {}
        self.since: datetime | None = None
        """Since when sidecars that end are kept count of."""

    def take(
        self,
        revision: str,
        readings: Iterable[SloReading],
        pods: Iterable[str],
        now: datetime,
    ) -> None:
        """Note what a round's sidecars told.

        Args:
            revision: of the thresholds that are in force; what others were counted by is no answer.
            readings: of those that answered; one that did not is taken at its last word.
            pods: uids of all pods there are.
            now: the time.
        """
        if revision != self._revision or self.since is None:
            self._revision, self.since = revision, now
            self._living.clear()
            self._ended.clear()
        for reading in readings:
            if reading.revision != revision:
                continue
            before = self._living.get(reading.uid)
            if before is not None and before.boot_id != reading.boot_id:
                self._end(before)
            self._living[reading.uid] = reading
        there = set(pods)
        for uid in [uid for uid in self._living if uid not in there]:
            self._end(self._living.pop(uid))
        self._forget(now)

    def _end(self, sidecar: SloReading) -> None:
        for version, history in sidecar.histories.items():
            known = version in self._ended or len(self._ended) < MAX_ENDED
            place = version if known else ELSEWHERE
            self._ended.setdefault(place, SloHistory()).merge(history)

    def _forget(self, now: datetime) -> None:
        for history in self._ended.values():
            history.forget(now.timestamp())
        self._ended = {
            version: history
            for version, history in self._ended.items()
            if any(history.rings.values())
        }

    def histories(self) -> Mapping[str, list[SloHistory]]:
        """By version, those of sidecars that live and of those that ended."""
        found: dict[str, list[SloHistory]] = {}
        for sidecar in self._living.values():
            for version, history in sidecar.histories.items():
                found.setdefault(version, []).append(history)
        for version, history in self._ended.items():
            found.setdefault(version, []).append(history)
        return found

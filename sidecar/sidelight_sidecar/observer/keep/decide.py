"""Whether an exchange that ended becomes a record, why, and with what probability.

Rules:
1. Metadata alone decides; no payload is looked at.
2. What decides is the request's id, hashed (`place_of`): the same request is kept by every pod or
   by none, as far as their probabilities agree. Hashed with a salt, so that nobody who may choose
   ids can choose to be kept or not.
3. What is kept for its outcome and what is sampled have a quota each: a storm of errors does not
   crowd out the sample that it is to be compared with.
"""

import hashlib
from dataclasses import dataclass

from sidelight_contract.capture import KeepSettings, KeptFor
from sidelight_sidecar.observer.keep.quota import Quota
from sidelight_sidecar.observer.keep.slowest import Slowest

_PLACES = 1 << 53
"""As many as a float tells apart."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What decides."""

    request_id: str
    model: str
    operation: str
    seconds: float
    stop_ns: int
    error: str = ""
    abandoned: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`probability` is of any exchange with this outcome at this time; a record's weight is one by
    it. 0: it had no chance.
    """

    keep: bool
    probability: float
    reasons: tuple[KeptFor, ...] = ()


class Keeper:
    """Decides for one pod.

    Args:
        settings: the rules in force.
        salt: hashed with each id; the same for all pods of a model.
    """

    def __init__(self, settings: KeepSettings, salt: bytes) -> None:
        self._salt = salt
        self._slowest = Slowest()
        self.reconfigure(settings)

    def reconfigure(self, settings: KeepSettings) -> None:
        """Put other rules in force; quotas begin anew."""
        self.settings = settings
        self._remarkable = Quota(settings.per_minute - settings.per_minute // 2)
        self._sampled = Quota(settings.per_minute // 2, settings.share)

    def decide(self, outcome: Outcome) -> Decision:
        """Decide, and learn from it what is slow."""
        reasons = self._reasons(outcome)
        self._slowest.learn((outcome.model, outcome.operation), outcome.seconds, outcome.stop_ns)
        place = place_of(outcome.request_id, self._salt)
        special = self._remarkable.probability(outcome.stop_ns) if reasons else 0.0
        usual = self._sampled.probability(outcome.stop_ns)
        if reasons:
            self._remarkable.asked(kept=place < special)
        if place >= special:
            self._sampled.asked(kept=place < usual)
        if place < usual:
            reasons = (*reasons, KeptFor.SAMPLED)
        # One place decides for both, so one like it is kept with the greater of the two.
        probability = max(special, usual)
        return Decision(place < probability, probability, reasons)

    def _reasons(self, outcome: Outcome) -> tuple[KeptFor, ...]:
        rules, took = self.settings, outcome.seconds
        kind = (outcome.model, outcome.operation)
        found = (
            (KeptFor.ERROR, rules.errors and outcome.error and not outcome.abandoned),
            (KeptFor.ABANDONED, rules.abandoned and outcome.abandoned),
            (KeptFor.TRUNCATED, rules.truncated and outcome.truncated),
            (KeptFor.SLOW, rules.slower_than is not None and took > rules.slower_than),
            (KeptFor.SLOWEST, rules.slowest and self._slowest.is_slowest(kind, took)),
        )
        return tuple(reason for reason, holds in found if holds)


def place_of(request_id: str, salt: bytes) -> float:
    """A place in [0, 1), even over ids."""
    digest = hashlib.blake2b(request_id.encode("utf-8", "replace"), digest_size=8, key=salt)
    return (int.from_bytes(digest.digest()) >> 11) / _PLACES

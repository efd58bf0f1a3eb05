"""Service level objectives, as rounds see them: whose rings are asked for, and what is told.

Rings are asked for twice a minute, and between that the status stays as it is: figures of hours
need no more, and a status that changes wakes everybody who watches it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidelight_contract.durations import parse_duration
from sidelight_contract.slo import SloHistory, SloSettings
from sidelight_contract.spec import ServiceLevel
from sidelight_contract.status import ObservedModelStatus, SLOStatus
from sidelight_contract.summary import Summary
from sidelight_operator.controller.adapters import rings_by_version
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.slo_history import SloLedger, SloReading
from sidelight_operator.controller.slo_status import (
    Windows,
    slo_condition,
    slo_status,
    together,
    windows_of,
    with_versions,
)

EVERY = timedelta(seconds=30)
_SKEW_SECONDS = 5
"""A clock that is no further off than that is right: an answer takes its time, too."""
_EARLY = timedelta(seconds=1)
"""Rounds are not on time to the millisecond."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a round tells of an ObservedModel's objectives."""

    overall: SLOStatus
    versions: Mapping[str, Windows]
    condition: tuple[Judged, ...]

    def put_into(self, status: ObservedModelStatus) -> ObservedModelStatus:
        """`status` with these figures."""
        status = with_versions(status, self.versions)
        return status.model_copy(update={"slo": self.overall})


class ObjectivesKeeper:
    """One ledger for each ObservedModel that has objectives."""

    def __init__(self) -> None:
        self._ledgers: dict[str, SloLedger] = {}
        self._asked: dict[str, datetime] = {}
        self._told: dict[str, tuple[SloSettings, Objectives]] = {}

    def forget_models(self, but: Collection[str]) -> None:
        """Keep those with these uids alone."""
        for uid in {*self._ledgers, *self._asked, *self._told} - set(but):
            self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._ledgers.pop(uid, None)
        self._asked.pop(uid, None)
        self._told.pop(uid, None)

    def due(self, model: Model, now: datetime) -> bool:
        """Whether the sidecars are to be asked for their rings in this round."""
        if model.spec is None:
            return False
        if model.spec.slo is None:
            self._forget(model.uid)
            return False
        asked = self._asked.get(model.uid)
        if asked is None or not timedelta(0) <= now - asked < EVERY - _EARLY:
            return True  # also where the clock was set back
        return self._told[model.uid][0] != settings_of(model.spec.slo)

    def proceed(
        self,
        model: Model,
        pods: Sequence[PodView],
        answers: Mapping[str, object],
        now: datetime,
        *,
        due: bool,
    ) -> Objectives | None:
        """What is told after this round; None where nothing is judged."""
        if model.spec is None or model.spec.slo is None or not due:
            told = self._told.get(model.uid)
            return told[1] if told else None
        settings = settings_of(model.spec.slo)
        ledger = self._ledgers.setdefault(model.uid, SloLedger())
        own = [pod for pod in pods if pod.model == model.name]
        readings = _readings(own, answers, now)
        ledger.take(settings.revision, readings, (pod.uid for pod in own), now)
        assert ledger.since is not None
        histories = ledger.histories()
        versions = {name: windows_of(some, now) for name, some in histories.items()}
        whole = together(versions.values())
        found = Objectives(
            slo_status(whole, settings.objective, ledger.since),
            versions,
            slo_condition(whole, settings.objective),
        )
        self._asked[model.uid] = now
        self._told[model.uid] = settings, found
        return found


def settings_of(slo: ServiceLevel) -> SloSettings:
    """What the sidecars are told of `spec.slo`."""
    return SloSettings(
        ttft=seconds_of(slo.time_to_first_token),
        tpot=seconds_of(slo.time_per_output_token),
        e2e=seconds_of(slo.duration),
        errors=sorted({str(error) for error in slo.errors}),
        objective=float(slo.objective),
    )


def seconds_of(text: str) -> float | None:
    """Seconds in a duration; None where there is none."""
    return parse_duration(text) if text else None


def _readings(
    pods: Sequence[PodView], answers: Mapping[str, object], now: datetime
) -> list[SloReading]:
    return [
        SloReading(
            pod.uid,
            answer.sidecar.boot_id,
            answer.slo.revision,
            _by_this_clock(rings_by_version(pod.version, answer), answer.slo.at, now),
        )
        for pod in pods
        if isinstance(answer := answers.get(pod.uid), Summary)
    ]


def _by_this_clock(
    rings: Mapping[str, SloHistory], at: float, now: datetime
) -> Mapping[str, SloHistory]:
    """The rings of a sidecar whose clock said `at`, by the controller's."""
    ahead = now.timestamp() - at
    if at and abs(ahead) > _SKEW_SECONDS:
        for history in rings.values():
            history.shift(ahead)
    return rings

"""From what sidecars tell of slow and failed requests to the few that a status shows. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sidelight_contract.autopsy import Autopsy, Cause, worst
from sidelight_contract.durations import format_duration, round_significant
from sidelight_contract.status import MAX_AUTOPSIES, MAX_AUTOPSY_TEXT, AutopsyStatus
from sidelight_contract.summary import Summary
from sidelight_contract.versions import MODEL, adapter_version
from sidelight_operator.controller.adapters import adapters_of
from sidelight_operator.controller.models import format_time
from sidelight_operator.controller.pods import PodView

REMARKABLE = 1.5
"""Times the usual."""
_PLACES_OF_FAILED = 2
_LATEST = 253402300799.0
"""The end of the year 9999: later is nobody's clock."""

_MOST_JOULES = 1e9
"""A thousand devices for a quarter of an hour."""


def autopsy_statuses(answered: Iterable[tuple[PodView, Summary]]) -> list[AutopsyStatus]:
    """The worst of all pods: the slowest first, then those that failed last."""
    pods: dict[int, tuple[PodView, str]] = {}
    told: list[Autopsy] = []
    for pod, summary in answered:
        for autopsy in filter(_remarkable, worst(summary.autopsies)):
            adapter = autopsy.model if autopsy.model in adapters_of(summary) else MODEL
            pods[id(autopsy)] = pod, adapter_version(pod.version, adapter)
            told.append(autopsy)
    kept = worst(told)
    failed = [autopsy for autopsy in kept if autopsy.error]
    slow = [autopsy for autopsy in kept if not autopsy.error]
    slow = slow[: MAX_AUTOPSIES - min(_PLACES_OF_FAILED, len(failed))]
    shown = [*slow, *failed][:MAX_AUTOPSIES]
    return [_status(*pods[id(autopsy)], autopsy) for autopsy in shown]


def _remarkable(autopsy: Autopsy) -> bool:
    """Even where all is well some request took longest; of that there is nothing to say."""
    known = autopsy.cause != Cause.UNKNOWN
    return bool(autopsy.error) or known or autopsy.times_usual >= REMARKABLE


def _status(pod: PodView, version: str, autopsy: Autopsy) -> AutopsyStatus:
    at = min(max(autopsy.at, 0.0), _LATEST)
    return AutopsyStatus(
        pod=pod.name,
        at=format_time(datetime.fromtimestamp(at, UTC)),
        model=autopsy.model[:128],
        version=version,
        duration=format_duration(max(0, autopsy.duration_ms) / 1000),
        energy=_energy(autopsy.joules),
        cause=autopsy.cause[:64],
        message=autopsy.said[:MAX_AUTOPSY_TEXT],
    )


def _energy(joules: float | None) -> str:
    if joules is None or not 0 <= joules < _MOST_JOULES:
        return ""
    return f"{round_significant(joules)}J"

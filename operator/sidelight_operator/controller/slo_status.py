"""From what was counted to the SLO figures of a status, and the condition SLOMet. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sidelight_contract.durations import round_significant
from sidelight_contract.names import ConditionType, Reason
from sidelight_contract.slo import ALL, RINGS, SLOS, Counts, SloCount, SloHistory, add
from sidelight_contract.status import ObservedModelStatus, SLOFigure, SLOStatus
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import format_time

FIVE_MINUTES, HOUR, DAY = RINGS
NAMES = {
    "ttft": "timeToFirstToken",
    "tpot": "timePerOutputToken",
    "e2e": "duration",
    "errors": "errors",
    ALL: "all",
}
Windows = dict[int, Counts]
"""Sums by the length of the ring's slices."""


def windows_of(histories: Iterable[SloHistory], now: datetime) -> Windows:
    """What the last 5 minutes, hour and day hold together."""
    found: Windows = {length: {} for length in RINGS}
    for history in histories:
        for length, counts in found.items():
            add(counts, history.over(length, now.timestamp()))
    return found


def together(parts: Iterable[Windows]) -> Windows:
    """The sums of several."""
    found: Windows = {length: {} for length in RINGS}
    for part in parts:
        for length, counts in part.items():
            add(found[length], counts)
    return found


def slo_status(whole: Windows, objective: float, since: datetime) -> SLOStatus:
    """The figures of all versions together."""
    day, hour = (whole[length].get(ALL, SloCount()) for length in (DAY, HOUR))
    return SLOStatus(
        objective=_wanted(objective),
        attainment=attainment(day),
        error_budget_left=_left(day, objective),
        burn_rate=round_significant(hour.bad / hour.requests / (1 - objective))
        if hour.requests
        else "",
        figures=figures_of(whole),
        ended_pods_since=format_time(since),
    )


def figures_of(windows: Windows) -> list[SLOFigure]:
    """One for each objective that was judged, the whole first."""
    return [
        SLOFigure(
            name=NAMES[name],
            last5m=attainment(windows[FIVE_MINUTES].get(name, SloCount())),
            last1h=attainment(windows[HOUR].get(name, SloCount())),
            last24h=attainment(day),
            good=day.good,
            bad=day.bad,
        )
        for name in (ALL, *SLOS[:-1])
        if (day := windows[DAY].get(name)) is not None
    ]


def attainment(count: SloCount) -> str:
    """The share of good ones, rounded down to a hundredth of a percent, so that 100% says that
    none was bad; "" where there was nothing to judge.
    """
    if not count.requests:
        return ""
    hundredths = 10_000 * count.good // count.requests
    return "100%" if hundredths == 10_000 else f"{hundredths / 100:.2f}%"


def _wanted(objective: float) -> str:
    return f"{100 * objective:.6g}%"


def _left(day: SloCount, objective: float) -> str:
    """What is left of the bad requests that the objective allows; below zero: overspent."""
    if not day.requests:
        return ""
    return f"{math.floor(100 * (1 - day.bad / (day.requests * (1 - objective))) + 1e-9)}%"


def with_versions(
    status: ObservedModelStatus, versions: Mapping[str, Windows]
) -> ObservedModelStatus:
    """`status` whose versions have their own figures; what does not serve keeps those it had."""
    shown = [
        version.model_copy(update={"slo": figures_of(versions[version.name])})
        if version.name in versions and version.state == "Serving"
        else version
        for version in status.versions
    ]
    return status.model_copy(update={"versions": shown})


def slo_condition(whole: Windows, objective: float) -> tuple[Judged, ...]:
    """The condition SLOMet, over the last 24 hours.

    One bad request alone never makes it False, for with few requests the objective allows none.
    """
    kind, day = ConditionType.SLO_MET, whole[DAY].get(ALL, SloCount())
    if not day.requests:
        message = "no request of the last 24 hours could be judged by spec.slo"
        return ((kind, "Unknown", Reason.NOTHING_JUDGED, message),)
    allowed = day.requests * (1 - objective) + 1e-9
    wanted = _wanted(objective)
    said = f"over 24 hours {attainment(day)} of requests kept to spec.slo, wanted are {wanted}"
    if day.bad <= allowed:
        left = f"; {_left(day, objective)} of the error budget is left"
        return ((kind, "True", Reason.SLO_MET, said + left),)
    if day.bad <= 1:
        return ((kind, "Unknown", Reason.TOO_FEW_JUDGED, f"{said}, but a single request is bad"),)
    parts = [
        f"{NAMES[name]} {attainment(count)}" for name, count in _worst(whole[DAY]) if count.bad
    ]
    return ((kind, "False", Reason.ERROR_BUDGET_SPENT, f"{said} ({', '.join(parts)})"),)


def _worst(counts: Counts) -> Sequence[tuple[str, SloCount]]:
    parts = [(name, counts[name]) for name in SLOS[:-1] if name in counts]
    return sorted(parts, key=lambda part: part[1].good / max(part[1].requests, 1))

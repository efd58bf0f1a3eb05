"""Figures of GPUs that are written anew only when they moved. Pure.

Devices that do nothing still take power, never quite the same, and their energy grows all the time:
three digits of either would rewrite the status of every idle model in every round. Rules:
1. A figure that is within `NEAR` of what is written, or a share within `NEAR_POINTS` of a percent,
   stays as it is written.
2. Figures that are parts of one whole (states) stay or go together.
3. What is no figure (pods, devices, sources) is as it is now.
"""

import re
from typing import TypeVar

from sidelight_contract.status import GPUActivity, GPUStatus, VersionStatus

NEAR = 0.02
"""Default 2 %: of a counter that only grows some two hundred writes from joules to megajoules."""
NEAR_POINTS = 1.0
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
_FIGURES = (
    "utilization", "sm_active", "tensor_active", "dram_active", "memory", "power", "throttled",
    "energy", "tokens_per_joule", "joules_per_token", "idle_energy", "residual",
)  # fmt: skip
_ACTIVITIES = ("utilization", "tensor_active", "dram_active")
Part = TypeVar("Part", GPUStatus, GPUActivity)


def steady_versions(shown: list[VersionStatus], before: list[VersionStatus]) -> list[VersionStatus]:
    """The versions with their GPUs' figures as they were written, where they have not moved."""
    written = {version.name: version.gpu for version in before}
    return [
        version
        if version.gpu is None or (old := written.get(version.name)) is None
        else version.model_copy(update={"gpu": steady(version.gpu, old)})
        for version in shown
    ]


def steady(now: GPUStatus, before: GPUStatus) -> GPUStatus:
    """The figures of now, or those of before where they are near."""
    kept = _kept(now, before, _FIGURES)
    for name in ("states", "throttled_by"):
        if _all_near(getattr(now, name), getattr(before, name)):
            kept = kept.model_copy(update={name: getattr(before, name)})
    phases = {
        phase: _kept(activity, before.phases[phase], _ACTIVITIES)
        if phase in before.phases
        else activity
        for phase, activity in now.phases.items()
    }
    return kept.model_copy(update={"phases": phases})


def near(now: str, before: str) -> bool:
    """Whether two figures are alike but for their numbers, and these are near each other."""
    ours, theirs = _NUMBER.split(now), _NUMBER.split(before)
    if ours[::2] != theirs[::2]:  # the words between
        return False
    units = ours[2::2]
    return all(
        _close(float(one), float(other), unit)
        for one, other, unit in zip(ours[1::2], theirs[1::2], units, strict=True)
    )


def _close(one: float, other: float, unit: str) -> bool:
    if unit.startswith("%") and min(one, other) > 0:
        return abs(one - other) <= NEAR_POINTS
    return abs(one - other) <= NEAR * max(one, other)


def _kept(now: Part, before: Part, names: tuple[str, ...]) -> Part:
    kept = {
        name: getattr(before, name)
        for name in names
        if near(getattr(now, name), getattr(before, name))
    }
    return now.model_copy(update=kept)


def _all_near(now: dict[str, str], before: dict[str, str]) -> bool:
    return now.keys() == before.keys() and all(near(now[name], before[name]) for name in now)

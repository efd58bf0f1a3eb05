"""Which two versions are compared.

A version is as new as its oldest pod: when an old version is scaled up its youngest pod is younger
than all of the candidate's. Once two are compared they stay, while both have pods and nobody newer
came: pods that are replaced one by one must not turn the comparison round.

An adapter (LoRA) is compared only where one is named, and what is not named is then the same
adapter of another version: that of `previous`, or of the newest. With its own model it is compared
where both are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sidelight_contract.spec import Compare
from sidelight_contract.versions import MODEL, adapter_version, parted

PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Pair:
    """The versions to compare; empty where there is none. `missing` says which has no pod."""

    baseline: str
    candidate: str
    missing: str = ""


def choose(compare: Compare, versions: Mapping[str, datetime], before: Pair) -> Pair:
    """The pair, from the versions that have pods and the creation of each one's oldest.

    Args:
        compare: what is asked for.
        versions: by name; those of pods, for whether an adapter is served is not known by pods.
        before: the pair of the round before under the same settings; empty names for none.
    """
    candidate, baseline = compare.candidate, compare.baseline
    before = Pair(parted(before.baseline)[0], parted(before.candidate)[0])
    if not candidate:
        adapter = MODEL if baseline == PREVIOUS else parted(baseline)[1]
        candidate = adapter_version(_newest(versions, before), adapter)
    if baseline == PREVIOUS:
        pods, adapter = parted(candidate)
        baseline = adapter_version(_previous(versions, pods, before), adapter)
    absent = [name for name in (candidate, baseline) if name and parted(name)[0] not in versions]
    if absent:
        return Pair(baseline, candidate, f"{absent[0]} has no observed pod")
    if not candidate:
        return Pair(baseline, candidate, "no version has an observed pod")
    if not baseline or baseline == candidate:
        return Pair("", candidate, _alone(candidate))
    return Pair(baseline, candidate)


def _alone(candidate: str) -> str:
    pods, adapter = parted(candidate)
    why = f"{pods} is the only version with observed pods"
    if adapter:
        why += f"; to hold {candidate} against its own model, name {pods} as the baseline"
    return why


def _newest(versions: Mapping[str, datetime], before: Pair) -> str:
    order = sorted(versions, key=lambda name: (versions[name], name))
    if not order:
        return before.candidate
    compared = {before.baseline, before.candidate}
    if before.baseline and before.candidate and order[-1] in compared:
        return before.candidate
    return order[-1]


def _previous(versions: Mapping[str, datetime], candidate: str, before: Pair) -> str:
    if before.baseline and before.candidate == candidate:
        return before.baseline
    others = [name for name in versions if name != candidate]
    if candidate in versions:
        older = [name for name in others if versions[name] <= versions[candidate]]
        others = older or others
    return max(others, key=lambda name: (versions[name], name), default="")

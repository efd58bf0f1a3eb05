"""Which two versions are compared.

A version is as new as its oldest pod: when an old version is scaled up its youngest pod is younger
than all of the candidate's. Once two are compared they stay, while both have pods and nobody newer
came: pods that are replaced one by one must not turn the comparison round.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sidelight_contract.spec import Compare

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
        versions: by name.
        before: the pair of the round before under the same settings; empty names for none.
    """
    candidate = compare.candidate or _newest(versions, before)
    baseline = compare.baseline
    if baseline == PREVIOUS:
        baseline = _previous(versions, candidate, before)
    absent = [name for name in (candidate, baseline) if name and name not in versions]
    if absent:
        return Pair(baseline, candidate, f"{absent[0]} has no observed pod")
    if not candidate:
        return Pair(baseline, candidate, "no version has an observed pod")
    if not baseline or baseline == candidate:
        return Pair("", candidate, f"{candidate} is the only version with observed pods")
    return Pair(baseline, candidate)


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

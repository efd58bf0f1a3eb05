"""Whether the pods of one version are one thing: from what is known of their engines to the
condition VersionConsistent. Pure.

Rules:
1. What is not known of a pod is no difference, and neither is a pod that was not asked, has not
   been ready yet, or has no version yet. So nothing is said of pods that start.
2. What engines of a version tell of themselves is compared by their own words, and an engine that
   was not asked yet is waited for. What none of them tells is compared by what pods declare, where
   the engine's default is a value as well.
3. Who falls silent becomes neither alike nor different by it.
4. The odd ones are those that differ from most; of as many, those that are younger.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sidelight_contract.names import ConditionType, Reason
from sidelight_operator.controller.facts import (
    DEFAULT,
    ENGINE,
    ENGINE_VERSION,
    IMAGE,
    MODELS,
    Facts,
    Member,
    facts_of,
)
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.version import NOT_YET

MAX_VERSIONS_TOLD = 3
MAX_DIFFERENCES_TOLD = 3
MAX_PODS_TOLD = 3
MAX_VALUE_TOLD = 60
MAX_MESSAGE = 1000
_FIRST = (ENGINE, IMAGE, ENGINE_VERSION, MODELS)
"""What explains other differences comes before them."""
_Values = dict[str, list[PodView]]
_BETWEEN_NAMES = re.compile(r"[\s,;:]+")
_WHOLE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which pods of a version are not alike."""

    name: str
    usual: str
    """What most have."""
    others: int
    """How many have it."""
    odd: tuple[tuple[str, tuple[str, ...]], ...]
    """What else there is, and the names of the pods that have it."""


def version_consistent(
    answered: Iterable[Member],
    silent: Sequence[PodView] = (),
    before: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Judged, ...]:
    """The condition VersionConsistent; none while nothing is known.

    Args:
        answered: pods whose sidecars answered, with what they said.
        silent: the others.
        before: the condition as the last round left it.
    """
    versions: dict[str, list[Member]] = {}
    for pod, summary in answered:
        if pod.version != NOT_YET and not pod.never_ready:
            versions.setdefault(pod.version, []).append((pod, summary))
    found = {
        version: differences
        for version, members in sorted(versions.items())
        if (differences := differences_of(facts_of(members)))
    }
    kind, alike, differ = ConditionType.VERSION_CONSISTENT, Reason.PODS_ALIKE, Reason.PODS_DIFFER
    if found:
        return ((kind, "False", differ, _message(found)),)
    if _stands(versions, silent, before):
        return ((kind, "False", differ, before["message"]),)
    if versions or (before and any(pod.model for pod in silent)):
        return (
            (kind, "True", alike, "pods of one version are alike in all that is known of them"),
        )
    return ()


def _stands(
    versions: Mapping[str, Sequence[Member]], silent: Sequence[PodView], before: Mapping[str, str]
) -> bool:
    """Whether the pods that differed before do so still, as far as anybody can tell: one of them is
    silent, or answers alone while its siblings are.
    """
    if before.get("status") != "False":
        return False
    named = set(_BETWEEN_NAMES.split(before["message"]))
    if any(pod.name in named for pod in silent):
        return True
    waited_for = {pod.version for pod in silent if pod.model}
    return any(
        len(members) == 1 and version in waited_for and members[0][0].name in named
        for version, members in versions.items()
    )


def differences_of(facts: Sequence[Facts]) -> list[Difference]:
    """In what the pods of one version differ."""
    if len(facts) < 2:
        return []
    names = {name for one in facts for name in (*one.told, *one.declared)}
    compared = ((name, _values(facts, name)) for name in sorted(names, key=_place))
    return [_difference(name, values) for name, values in compared if len(values) > 1]


def _place(name: str) -> tuple[int, str]:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def _values(facts: Sequence[Facts], name: str) -> _Values:
    """Who has which value; those of whom it is not known are left out."""
    telling = [one for one in facts if name in one.told]
    if not telling:
        return _by_value((one.declared[name], one) for one in facts if name in one.declared)
    told = _by_value((one.told[name], one) for one in telling)
    return told if len(told) > 1 else _silent(facts, telling, name)


def _silent(facts: Sequence[Facts], telling: Sequence[Facts], name: str) -> _Values:
    """Where those that tell are alike: which of those that were asked and tell nothing of it
    declare something else than they do. An engine need not tell what it leaves at its default.
    """
    alike = {one.declared[name] for one in telling if name in one.declared}
    others = [one for one in facts if one.asked and name not in one.told and name in one.declared]
    if not alike or all(one.declared[name] in alike for one in others):
        return {}
    usual = min(alike)
    found = [(one.declared[name], one) for one in others]
    return _by_value(
        [*((usual, one) for one in telling),
         *((usual if value in alike else value, one) for value, one in found)]
    )  # fmt: skip


def _by_value(pairs: Iterable[tuple[str, Facts]]) -> _Values:
    values: _Values = {}
    for value, one in pairs:
        values.setdefault(value, []).extend(one.pods)
    return values


def _difference(name: str, values: _Values) -> Difference:
    def rank(value: str) -> tuple[object, ...]:
        pods = values[value]
        return -len(pods), min((pod.created, pod.name) for pod in pods)

    usual, *odd = sorted(values, key=rank)
    return Difference(
        name=name,
        usual=usual,
        others=len(values[usual]),
        odd=tuple((value, tuple(sorted(pod.name for pod in values[value]))) for value in odd),
    )


def _message(found: Mapping[str, Sequence[Difference]]) -> str:
    shown = list(found.items())[:MAX_VERSIONS_TOLD]
    said = [f"version {version}: {_sentence(differences)}" for version, differences in shown]
    if len(found) > len(shown):
        said.append(f"{len(found) - len(shown)} more versions likewise")
    message = ". ".join(said)
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."


def _sentence(differences: Sequence[Difference]) -> str:
    shown = differences[:MAX_DIFFERENCES_TOLD]
    said = ["; ".join(_told(difference)) for difference in shown]
    if len(differences) > len(shown):
        names = ", ".join(difference.name for difference in differences[len(shown) :])
        said.append(f"also differ: {names}")
    return "; ".join(said)


def _told(difference: Difference) -> Iterator[str]:
    usual = f"{difference.others} other{'s' * (difference.others > 1)} {_short(difference.usual)}"
    for number, (value, pods) in enumerate(difference.odd[:MAX_PODS_TOLD]):
        named = ", ".join(pods[:MAX_PODS_TOLD])
        more = len(pods) - MAX_PODS_TOLD
        who = f"{'pod' if len(pods) == 1 else 'pods'} {named}{f' and {more} more' * (more > 0)}"
        verb = "has" if len(pods) == 1 else "have"
        said = f"{who} {verb} {difference.name} {_short(value)}"
        last = number == min(len(difference.odd), MAX_PODS_TOLD) - 1
        yield f"{said}, {usual}" if last else said


def _short(value: str) -> str:
    if value == DEFAULT:
        return "(default)"
    if _WHOLE_DIGEST.fullmatch(value):
        return value[:19]
    if len(value) <= MAX_VALUE_TOLD:
        return value
    half = MAX_VALUE_TOLD // 2 - 2
    return f"{value[:half]}...{value[-half:]}"

"""What answered under a version's name, for people: of each thing what most of its pods have.

Where pods differ, the condition VersionConsistent says so; here is no place for all of them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from sidelight_contract.identity import Setting, WeightsFrom
from sidelight_contract.status import (
    MAX_ADAPTERS_SHOWN,
    MAX_SETTING_SHOWN,
    MAX_SETTINGS_SHOWN,
    Identity,
)
from sidelight_contract.weights import WeightsState
from sidelight_operator.controller.facts import (
    DEFAULT,
    ENGINE_VERSION,
    IMAGE,
    TEMPLATE,
    TOKENIZER,
    Facts,
    Member,
    facts_of,
    root_of,
)
from sidelight_operator.controller.pods import PodView

_SOURCES = (WeightsFrom.FILES.value, WeightsFrom.ENGINE.value, "")
"""Of the weights: whichever is first is shown."""
_SAMPLING = Setting.SAMPLING.value
_DIGEST_SHOWN = len("sha256:") + 12


def identity_of(
    pod: PodView,
    members: Iterable[Member],
    *,
    served_models: Sequence[str],
    adapter: str = "",
    parent: str = "",
) -> Identity:
    """What is shown of a version.

    Args:
        pod: whose image and engine stand for all.
        members: its pods and what their sidecars told.
        served_models: those to show.
        adapter: of an adapter's version its name: only what is its own is shown, for the rest
            stands with the version of the pods.
        parent: of an adapter's version the model that it is one of.
    """
    facts = facts_of(members)
    return Identity(
        served_models=list(served_models),
        parent=parent,
        image=pod.image,
        image_digest=_told(facts, IMAGE),
        engine=pod.injection.engine,
        engine_version=_told(facts, ENGINE_VERSION),
        weights=_told(facts, root_of(adapter)) if adapter else _weights(facts),
        weights_state="" if adapter else _weights_state(facts),
        tokenizer="" if adapter else _told(facts, TOKENIZER),
        template="" if adapter else _told(facts, TEMPLATE),
        settings={} if adapter else _settings(facts),
        adapters=[] if adapter else _adapters(facts),
    )


def _weights(facts: Sequence[Facts]) -> str:
    said = (
        _most((one.identity.weights, one) for one in facts if one.identity.weights_from == source)
        for source in _SOURCES
    )
    return shown(next(filter(None, said), ""))


def _told(facts: Sequence[Facts], name: str) -> str:
    return shown(_most((one.told.get(name, ""), one) for one in facts))


def _most(values: Iterable[tuple[str, Facts]]) -> str:
    """What most pods have; of as many, the first by name; empty where none has anything."""
    counts: Counter[str] = Counter()
    for value, one in values:
        counts[value] += len(one.pods)
    del counts[DEFAULT]
    return min(counts, key=lambda value: (-counts[value], value), default="")


def _weights_state(facts: Sequence[Facts]) -> str:
    """What came of reading files; where some were read and some not, why not."""
    states = [(one.identity.weights_state, one) for one in facts]
    unread = [(state, one) for state, one in states if state != WeightsState.READ]
    return _most(unread) or _most(states)


def _settings(facts: Sequence[Facts]) -> dict[str, str]:
    """The engine's own word before what is declared. What a request gets that does not say, which
    is a score of values, stands as one digest, and beside it what is declared of it.
    """
    names = {name for one in facts for name in (*one.identity.settings, *one.declared)}
    found = {_SAMPLING: _digest_of_parts(facts, f"{_SAMPLING}.")}
    for name in sorted(names, key=lambda name: (not name.isidentifier(), name)):
        declared = _most((one.declared.get(name, DEFAULT), one) for one in facts)
        told = _most((one.identity.settings.get(name, ""), one) for one in facts)
        if len(name) <= MAX_SETTING_SHOWN and (declared or not name.startswith(f"{_SAMPLING}.")):
            found[name] = shown(told or declared)
    some = [(name, value) for name, value in found.items() if value][:MAX_SETTINGS_SHOWN]
    return dict(sorted(some))


def _digest_of_parts(facts: Sequence[Facts], prefix: str) -> str:
    def digest(one: Facts) -> str:
        parts = {n: v for n, v in one.identity.settings.items() if n.startswith(prefix)}
        words = msgspec.json.encode(parts, order="sorted")
        return f"sha256:{hashlib.sha256(words).hexdigest()}" if parts else ""

    return shown(_most((digest(one), one) for one in facts))


def _adapters(facts: Sequence[Facts]) -> list[str]:
    names = {name for one in facts for name in one.identity.adapters()}
    return sorted(names)[:MAX_ADAPTERS_SHOWN]


def shown(value: str) -> str:
    """A value in the status: the start of a digest; what is long without its middle."""
    if value.startswith("sha256:"):
        return value[:_DIGEST_SHOWN]
    if len(value) <= MAX_SETTING_SHOWN:
        return value
    half = MAX_SETTING_SHOWN // 2 - 2
    return f"{value[:half]}...{value[-half:]}"

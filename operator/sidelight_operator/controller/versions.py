"""The figures of each version, and of all together. Pure.

A pod's version has what its models did; an adapter (LoRA) is a version of its own, with the pods,
the start and the coverage of the pods that had requests for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidelight_contract import status
from sidelight_contract.summary import Abandoned, Summary, TokenCounts
from sidelight_contract.versions import MODEL, adapter_version, parted
from sidelight_operator.controller.adapters import by_adapter
from sidelight_operator.controller.coverage import share
from sidelight_operator.controller.facts import Member
from sidelight_operator.controller.figures import Figures, inference, traffic_status
from sidelight_operator.controller.gpus import gpu_status
from sidelight_operator.controller.identities import identity_of
from sidelight_operator.controller.models import format_time
from sidelight_operator.controller.pods import PodView
from sidelight_operator.controller.version import NOT_YET

MAX_SERVED_MODELS = 10
MAX_NAMES = 16
"""Classes of error, or reasons, that are told apart; a sidecar has some ten."""
_REST = "other"


@dataclass(frozen=True, slots=True)
class Versions:
    """What a round's sidecars told."""

    shown: list[status.VersionStatus]
    """At most `MAX_VERSIONS`."""
    names: frozenset[str]
    """Of all that were told of."""
    whole: Figures
    """All together, pods without a version among them."""


@dataclass(slots=True)
class _Version:
    figures: Figures
    youngest: PodView
    """Of its pods."""
    parent: str = ""
    members: list[Member] = field(default_factory=list)


def versions_of(answered: Iterable[tuple[PodView, Summary]]) -> Versions:
    """Each version's figures, and those of all together.

    Versions with traffic in the window come first, among them the one with the youngest pod, and
    the model before its adapters. Past `MAX_VERSIONS` the last ones are counted in the whole only;
    adapters take no place that a pod's version needs.
    """
    found: dict[str, _Version] = {}
    whole = Figures()
    for pod, summary in answered:
        if pod.version == NOT_YET:
            whole.add(summary)
        else:
            _add(found, pod, summary)
    for name, version in found.items():
        if parted(name)[1]:
            whole.merge_traffic(version.figures)
        else:
            whole.merge(version.figures)
    shown = [_status(name, found[name]) for name in _shown(found)]
    return Versions(shown, frozenset(found), whole)


def _add(found: dict[str, _Version], pod: PodView, summary: Summary) -> None:
    total = by_adapter(summary, inference(summary.total))
    window = by_adapter(summary, inference(summary.window))
    for adapter, parts in total.items():
        name = adapter_version(pod.version, adapter)
        version = found.get(name)
        if version is None:
            parent = summary.sidecar.adapters[adapter] if adapter != MODEL else ""
            version = found[name] = _Version(Figures(), pod, parent)
        version.members.append((pod, summary))
        version.figures.add_pod(summary)
        version.figures.add_traffic(parts, window.get(adapter, ()), summary)
        known = version.youngest
        if (pod.created, pod.name) > (known.created, known.name):
            version.youngest = pod


def _shown(found: Mapping[str, _Version]) -> list[str]:
    """The names of those that are shown, in their order."""

    def active(name: str) -> bool:
        return found[name].figures.window.requests > 0

    order = sorted(found, key=lambda name: (-found[name].figures.total.requests, name))
    order.sort(key=lambda name: (parted(name)[0], parted(name)[1] != MODEL))
    order.sort(key=lambda name: found[parted(name)[0]].youngest.created, reverse=True)
    order.sort(key=lambda name: not active(name))
    with_traffic = {parted(name)[0] for name in found if active(name)}
    pods = [name for name in order if parted(name)[1] == MODEL]
    pods.sort(key=lambda name: name not in with_traffic)
    adapters = [name for name in order if parted(name)[1] != MODEL]
    chosen = {*[*pods, *adapters][: status.MAX_VERSIONS]}
    return [name for name in order if name in chosen]


def _status(name: str, version: _Version) -> status.VersionStatus:
    figures, total = version.figures, version.figures.total
    seen = figures.observed + figures.lost
    return status.VersionStatus(
        name=name,
        identity=_identity(version, parted(name)[1]),
        pods=figures.pods,
        since=format_time(datetime.fromtimestamp(figures.started_at, UTC)),
        requests=total.requests,
        streamed=total.streamed,
        errors=_most(total.errors),
        finish_reasons=_most(total.finish_reasons),
        empty=total.empty,
        without_usage=total.usage_missing,
        abandoned=_abandoned(total.abandoned),
        tokens=_tokens(total.tokens),
        coverage=share(figures.observed, seen) if seen else "",
        requests_lost=figures.lost,
        connections_not_observed=figures.not_observed,
        window=traffic_status(figures),
        gpu=gpu_status(version.members) if parted(name)[1] == MODEL else None,
    )


def _identity(version: _Version, adapter: str) -> status.Identity:
    served, pod = version.figures.served_models, version.youngest
    by_requests = sorted(served, key=lambda model: (-served[model], model))
    return identity_of(
        pod,
        version.members,
        served_models=by_requests[:MAX_SERVED_MODELS],
        adapter=adapter,
        parent=version.parent,
    )


def _abandoned(abandoned: Abandoned) -> status.AbandonedStatus | None:
    requests = sum(abandoned.phases.values())
    if not requests:
        return None
    return status.AbandonedStatus(
        requests=requests,
        phases=_most(abandoned.phases),
        engine_stopped=abandoned.engine_stopped,
        tokens=_tokens(abandoned.tokens),
    )


def _tokens(tokens: TokenCounts) -> status.Tokens:
    return status.Tokens(
        prompt=tokens.prompt,
        output=tokens.output,
        cached_prompt=tokens.cached_prompt,
        reasoning=tokens.reasoning,
        tokenized_prompt=tokens.tokenized_prompt,
        tokenized_output=tokens.tokenized_output,
        estimated_output=tokens.estimated_output,
    )


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    """The largest of them, by name; the rest as one."""
    if len(counts) > MAX_NAMES:
        order = sorted(counts, key=lambda name: (name == _REST, -counts[name], name))
        kept = {name: counts[name] for name in order[: MAX_NAMES - 1]}
        rest = sum(counts.values()) - sum(kept.values())
        counts = kept | {_REST: rest}
    return dict(sorted(counts.items()))

"""Adapters (LoRA) as versions of their own: whose request one was, by the model that answered.

A sidecar tells which models are adapters (`SidecarState.adapters`); one of an older release tells
none, and all of its traffic is its pod's version's. A pod without a version has no adapters'
versions either.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from sidelight_contract.identity import MAX_ADAPTERS
from sidelight_contract.slo import SloHistory
from sidelight_contract.strata import Stratum
from sidelight_contract.summary import Summary
from sidelight_contract.versions import MODEL, adapter_version


class _OfModel(Protocol):
    @property
    def model(self) -> str: ...


_Part = TypeVar("_Part", bound=_OfModel)


def adapters_of(summary: Summary) -> Mapping[str, str]:
    """The adapters that a sidecar tells, each with its parent; never more than it may."""
    told = summary.sidecar.adapters
    return told if len(told) <= MAX_ADAPTERS else dict(islice(told.items(), MAX_ADAPTERS))


def by_adapter(summary: Summary, parts: Iterable[_Part]) -> dict[str, list[_Part]]:
    """`parts` of what a sidecar told, by the adapter that they are of."""
    adapters = adapters_of(summary)
    found: dict[str, list[_Part]] = {MODEL: []}
    for part in parts:
        found.setdefault(part.model if part.model in adapters else MODEL, []).append(part)
    return found


def strata_by_version(pod_version: str, summary: Summary) -> dict[str, Sequence[Stratum]]:
    """The strata by version. Those of an adapter bear its parent's name, so that it can be held
    against the model, or against the same adapter of another version.
    """
    if not pod_version:
        return {pod_version: summary.strata.rows}
    parents = adapters_of(summary)
    return {
        adapter_version(pod_version, adapter): [row.called(parents[adapter]) for row in rows]
        if adapter
        else rows
        for adapter, rows in by_adapter(summary, summary.strata.rows).items()
    }


def rings_by_version(pod_version: str, summary: Summary) -> Mapping[str, SloHistory]:
    """Judged requests by version."""
    adapters = adapters_of(summary) if pod_version else {}
    own = {name: rings for name, rings in summary.slo.adapters.items() if name in adapters}
    whole = summary.slo.history
    rings = {adapter_version(pod_version, name): some for name, some in own.items()}
    rings[pod_version] = whole.without(own.values()) if own else whole
    return rings

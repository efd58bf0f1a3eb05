"""Which pod is attached to next, and why the others are not: pure, and from the cluster alone.

Rules:
1. One at a time for each model: the next pod is taken when the tap before it answers.
2. A tap that failed is the last one: what went wrong there (a runtime without NET_RAW, say) would
   go wrong elsewhere, and what was added to a pod stays in it. With that pod's restart it goes on.
3. Pods that are Ready alone: a pod that starts is busy enough, and one that fails is no model.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from sidelight_contract.injection import InjectionRecord
from sidelight_contract.names import Reason
from sidelight_operator.attach.taps import Tap, TapState


class Why(NamedTuple):
    """Why a pod is not observed, and what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that may be attached to."""

    name: str
    uid: str
    created: datetime
    serving: bool
    record: InjectionRecord


@dataclass(frozen=True, slots=True)
class Attached:
    """A pod that has a tap of this model."""

    name: str
    uid: str
    tap: Tap


@dataclass(frozen=True, slots=True)
class Plan:
    """The pod to attach to now, and what is to be said of the others (by uid)."""

    next: Candidate | None
    why: Mapping[str, Why]


NOBODY: Mapping[str, Why] = MappingProxyType({})


def plan(
    candidates: Sequence[Candidate],
    attached: Sequence[Attached],
    answering: AbstractSet[str],
    *,
    refused: Mapping[str, Why] = NOBODY,
) -> Plan:
    """Choose.

    Args:
        candidates: pods of the model without a tap.
        attached: pods of the model with one.
        answering: uids of the pods whose tap answered in this round.
        refused: pods of which the API server refused the container not long ago, and how.
    """
    order = sorted(candidates, key=lambda pod: (pod.created, pod.name))
    held = _halted(order, attached, refused) or _waits(attached, answering)
    ready = [pod for pod in order if pod.serving]
    chosen = ready[0] if ready and held is None else None
    if held is None and chosen is not None:
        held = Why(
            Reason.ATTACH_PENDING,
            f"it waits for its turn: pods are attached one at a time, and {chosen.name} is next",
        )
    why = {
        pod.uid: refused.get(pod.uid) or (held if held and pod.serving else _NOT_READY)
        for pod in order
        if pod is not chosen
    }
    if chosen is not None:
        why[chosen.uid] = STARTING
    return Plan(chosen, why)


STARTING = Why(Reason.TAP_STARTING, "its tap was added and does not run yet; see the pod's events")
_NOT_READY = Why(Reason.ATTACH_PENDING, "it is not Ready; it will be attached once it serves")


def why_not_tapped(pod: str, tap: Tap) -> Why | None:
    """Why a pod that has a tap is not observed by it; None when the tap runs."""
    if tap.state is TapState.RUNNING:
        return None
    if tap.state is TapState.STARTING:
        message = f"{STARTING.message} ({tap.message})" if tap.message else STARTING.message
        return Why(Reason.TAP_STARTING, message)
    return Why(
        Reason.TAP_ENDED,
        f"its tap has ended: {tap.message}. An ephemeral container is never started again: restart "
        f"the pod {pod} to have it observed",
    )


def _halted(
    order: Sequence[Candidate], attached: Sequence[Attached], refused: Mapping[str, Why]
) -> Why | None:
    for pod in sorted(attached, key=lambda pod: pod.name):
        if pod.tap.failed:
            return Why(
                Reason.ATTACH_HALTED,
                f"no further pod is attached, for the tap of {pod.name} failed: {pod.tap.message}. "
                "Mend that, then restart that pod",
            )
    for candidate in order:
        if candidate.uid in refused:
            return Why(
                Reason.ATTACH_HALTED,
                f"no further pod is attached for now: {candidate.name} was refused. "
                f"{refused[candidate.uid].message}",
            )
    return None


def _waits(attached: Sequence[Attached], answering: AbstractSet[str]) -> Why | None:
    for pod in sorted(attached, key=lambda pod: pod.name):
        if pod.tap.state is not TapState.ENDED and pod.uid not in answering:
            return Why(
                Reason.ATTACH_PENDING,
                f"pods are attached one at a time, and the tap of {pod.name} does not answer yet",
            )
    return None

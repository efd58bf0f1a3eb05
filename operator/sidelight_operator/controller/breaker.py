"""The circuit breaker: which workloads Sidelight stays out of, and which pods make way. Pure.

Rules:
1. It opens for a workload whose pods are refused, or do not start, because of Sidelight; for no
   other workload.
2. It closes when the ObservedModel's spec changes (its generation), or Sidelight's release or
   sidecar image: both may have mended the cause.
3. A pod is replaced only if it never was ready, is stuck because of Sidelight, and has an owner
   that makes it anew; and only in a round that found the breaker open, so that the webhook knows of
   it before the owner does.
4. A pod that is stuck since before the spec, or the release, was changed says nothing about the new
   one: it is replaced, and opens nothing.
5. All of it stands in the status: a controller that is restarted goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from sidelight_contract.names import Reason
from sidelight_contract.status import MAX_BREAKERS, BreakerEntry
from sidelight_operator.controller.models import Model, format_time, parse_time
from sidelight_operator.controller.pods import PodView, Refusal

STILL = timedelta(seconds=30)
"""A refusal this long after the breaker opened is of a pod without a sidecar."""
_STILL_REFUSED = " (refused without a sidecar, too: look for another cause)"
_MESSAGE_LIMIT = 600
_ALIVE = ("Pending", "Running")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A workload's pods are refused by the API server."""

    message: str
    at: datetime
    sidecar: bool
    """Whether they would have carried a sidecar; False while the breaker is open."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The Sidelight that runs now."""

    version: str
    image: str
    """Of the sidecar that is injected."""
    since: datetime
    """When this controller started: no later than the present image came to be injected."""

    @property
    def release(self) -> str:
        """What closes every breaker when it changes."""
        return f"{self.version}, {self.image}"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker after a round."""

    entries: tuple[BreakerEntry, ...] = ()
    opened: tuple[BreakerEntry, ...] = ()
    closed: tuple[BreakerEntry, ...] = ()
    replace: tuple[PodView, ...] = ()
    """Pods to delete."""


def judge_breaker(
    model: Model,
    installed: Installed,
    pods: Sequence[PodView],
    rejections: Mapping[str, Rejection],
    now: datetime,
) -> Breaker:
    """The breaker's next state.

    Args:
        model: with the status, and so the breaker, of the round before.
        installed: the Sidelight that runs now.
        pods: those that the model selects, each with its trouble.
        rejections: by workload; only those that are Sidelight's doing, or come without a sidecar.
        now: for entries that are new.
    """
    before, release = _previous(model), installed.release
    entries = {
        entry.workload: entry
        for entry in before
        if (entry.generation, entry.release) == (model.generation, release)
    }
    known = frozenset(entries)
    opened: dict[str, BreakerEntry] = {}

    def trip(workload: str, why: Refusal) -> None:
        if workload not in known and workload not in opened:
            opened[workload] = BreakerEntry(
                workload=workload, reason=why.reason, message=why.message[:_MESSAGE_LIMIT],
                since=format_time(now), generation=model.generation, release=release,
            )  # fmt: skip

    stuck = [pod for pod in pods if pod.trouble is not None and pod.model == model.name]
    for pod in sorted(stuck, key=lambda pod: pod.name):
        if pod.trouble is not None and not _of_before(pod, model, installed):
            trip(pod.workload or f"pod/{pod.name}", pod.trouble)
    for workload, found in sorted(rejections.items()):
        if workload in entries:
            entries[workload] = _still_refused(entries[workload], found)
        elif found.sidecar:
            trip(workload, Refusal(Reason.PODS_REJECTED, found.message))
    newest = sorted((entries | opened).values(), key=lambda entry: (entry.since, entry.workload))
    return Breaker(
        entries=tuple(newest[-MAX_BREAKERS:]),
        opened=tuple(opened.values()),
        closed=tuple(entry for entry in before if entry.workload not in known),
        replace=tuple(
            pod
            for pod in stuck
            if _may_go(pod) and (pod.workload in known or _of_before(pod, model, installed))
        ),
    )


def _previous(model: Model) -> list[BreakerEntry]:
    """Those in the status; what somebody wrote there by hand and is none is dropped."""
    found = []
    for entry in model.status.get("breaker") or ():
        try:
            found.append(BreakerEntry.model_validate(entry))
        except ValidationError:
            continue
    return found


def _may_go(pod: PodView) -> bool:
    return pod.never_ready and bool(pod.workload) and pod.phase in _ALIVE


def _of_before(pod: PodView, model: Model, installed: Installed) -> bool:
    """Whether the pod was made under another spec or by another release."""
    if pod.injection.previous_image:
        return False  # it has the present image since a moment ago
    old_image = pod.injection.image != installed.image and pod.created < installed.since
    return old_image or pod.created < model.changed


def _still_refused(entry: BreakerEntry, found: Rejection) -> BreakerEntry:
    late = found.at - parse_time(entry.since) > STILL
    if not late or entry.message.endswith(_STILL_REFUSED):
        return entry
    return entry.model_copy(update={"message": entry.message + _STILL_REFUSED})

"""From what was seen in a round to the status to write and the Events to tell. Pure: no clock, no
network, no Kubernetes client.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sidelight_contract.config import SidecarConfig
from sidelight_contract.names import ConditionType, InterceptionMode, Reason
from sidelight_contract.status import (
    MAX_NAMED_PODS,
    CompareStatus,
    Condition,
    Coverage,
    ModeCount,
    NotObservedPod,
    ObservedModelStatus,
    Pods,
    VersionStatus,
)
from sidelight_contract.summary import Summary
from sidelight_operator.controller import comparing
from sidelight_operator.controller.agreement import metrics_agree
from sidelight_operator.controller.autopsies import autopsy_statuses
from sidelight_operator.controller.breaker import Breaker
from sidelight_operator.controller.capturing import capture_conditions
from sidelight_operator.controller.consistency import version_consistent
from sidelight_operator.controller.coverage import coverage_status
from sidelight_operator.controller.ended import versions_before, with_untold
from sidelight_operator.controller.figures import Figures, traffic_status
from sidelight_operator.controller.gpu_health import gpu_conditions
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model, format_time
from sidelight_operator.controller.objectives import Objectives
from sidelight_operator.controller.pods import PodView, Refusal
from sidelight_operator.controller.rollout import RolloutPlan
from sidelight_operator.controller.steady import steady_versions
from sidelight_operator.controller.versions import Versions, versions_of

STARTING = timedelta(minutes=2)
"""A younger pod that is not running or ready yet is starting: in the status, but no Event."""
MAX_NAMED_WORKLOADS = 5
_MAX_CONFIG_ERROR = 200
MAX_MODES = 10
"""Rows of `interception`: two modes for a few reasons; more would be somebody's forgery."""
WINDOW_SECONDS = SidecarConfig(version=1).window_seconds

Answer = Summary | Refusal
"""What a sidecar answered, or why there is no answer."""

NO_BREAKER = Breaker()
_STARTING_REASONS = frozenset(
    {Reason.POD_NOT_RUNNING, Reason.SIDECAR_NOT_READY, Reason.SIDECAR_REFUSED_TOKEN}
)
_ON_THEIR_WAY = frozenset({Reason.ATTACH_PENDING, Reason.TAP_STARTING})
"""In the status, but no Event: what is said of them changes with each round."""
_TOLD_WHEN_TURNED = frozenset({ConditionType.VERSION_CONSISTENT, ConditionType.GPU_HEALTHY})


@dataclass(frozen=True, slots=True)
class Told:
    """An Event to be."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str
    pod: str = ""
    """The pod it speaks of; "" when it speaks of a workload or of all."""
    workload: str = ""
    """The workload that it is told of, too, such as `deployment/chat`."""
    occasion: str = ""
    """What tells it from one that said the same before."""

    @property
    def subject(self) -> str:
        """What it speaks of; "" for all."""
        return self.pod or self.workload


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of a round. `not_observed` counts all pods, the status names some."""

    status: ObservedModelStatus
    events: tuple[Told, ...]
    not_observed: Mapping[Reason, int]


def evaluate(
    model: Model,
    pods: Sequence[PodView],
    answers: Mapping[str, Answer],
    now: datetime,
    *,
    breaker: Breaker = NO_BREAKER,
    rollout: RolloutPlan | None = None,
    problem: Refusal | None = None,
    told: AbstractSet[tuple[str, Reason]] = frozenset(),
    compare: CompareStatus | None = None,
    objectives: Objectives | None = None,
    allow_full: bool = False,
    allow_visible_all: bool = False,
    exporters_problem: str = "",
) -> Evaluation:
    """Judge one model's round.

    Args:
        model: as read at the start of the round, with the status of the round before.
        pods: those its selector matches and that have not ended.
        answers: by pod uid, for the pods that were asked.
        now: for conditions that change.
        breaker: the circuit breaker after this round.
        rollout: what happens to pods that are not up to date.
        problem: why the round could not be done whole; it becomes the reason of Ready.
        told: pods and reasons of which an Event was made in an earlier round.
        compare: the comparison of versions after this round.
        objectives: how requests do against `spec.slo`.
        allow_full: whether payloads may be recorded as they pass.
        allow_visible_all: whether sidecars may see every GPU of their node.
        exporters_problem: why exporters of GPU figures could not be looked for.
    """
    refusals = {pod.uid: _refusal(model, pod, answers) for pod in pods}
    missing = [(pod, why) for pod in pods if (why := refusals[pod.uid]) is not None]
    answered = [
        (pod, answer)
        for pod in pods
        if refusals[pod.uid] is None and isinstance(answer := answers[pod.uid], Summary)
    ]
    versions = versions_of(answered)
    whole = versions.whole
    conditions = (
        _ready(pods, missing, problem, answered),
        _injected(model, pods),
        _traffic_observed(pods, whole),
        _breaker_open(breaker),
        *_up_to_date(rollout),
        *metrics_agree(summary for _, summary in answered),
        *version_consistent(
            answered,
            [pod for pod, _ in missing],
            previous_condition(model, ConditionType.VERSION_CONSISTENT),
        ),
        *(objectives.condition if objectives else ()),
        *comparing.verdict_condition(compare),
        *capture_conditions(model, (s for _, s in answered), allow_full=allow_full),
        *gpu_conditions(
            model, answered, now, allow_visible_all=allow_visible_all, problem=exporters_problem
        ),
    )
    status = ObservedModelStatus(
        observed_generation=model.generation,
        conditions=[_condition(model, now, judged) for judged in conditions],
        pods=_pods_status(pods, missing),
        interception=_modes(model, pods, answers),
        breaker=list(breaker.entries),
        window_seconds=WINDOW_SECONDS,
        traffic=traffic_status(whole) if answered else None,
        versions=_versions(model, versions, [pod.version for pod, _ in missing], now),
        autopsy=autopsy_statuses(answered),
        compare=compare,
    )
    if objectives is not None:
        status = objectives.put_into(status)
    return Evaluation(
        status=status,
        events=(
            *_events(model, missing, status, now, told),
            *_breaker_events(breaker),
            *_turned_events(model, status),
            *_verdict_events(model, compare),
        ),
        not_observed=Counter(why.reason for _, why in missing),
    )


def _versions(
    model: Model, versions: Versions, unheard: Sequence[str], now: datetime
) -> list[VersionStatus]:
    """Those of this round, and those that it does not tell of any more."""
    before = versions_before(model)
    shown = steady_versions(versions.shown, before)
    if model.spec is None:  # then no pod was looked for
        return with_untold(before, shown, versions.names, None, now)
    if model.spec.slo is None:
        before = [version.model_copy(update={"slo": []}) for version in before]
    return with_untold(before, shown, versions.names, frozenset(unheard), now)


def asks(model: Model, pod: PodView) -> bool:
    """Whether the sidecar of `pod` is to be asked for its summary in this round."""
    return pod.model == model.name and pod.phase == "Running" and pod.sidecar_ready and bool(pod.ip)


def _refusal(model: Model, pod: PodView, answers: Mapping[str, Answer]) -> Refusal | None:
    """Why `pod` is not observed; None when it is."""
    if not pod.model:
        return pod.refusal or Refusal(Reason.WEBHOOK_MISSED, "it carries no sidecar")
    if pod.model != model.name:
        return Refusal(
            Reason.BELONGS_TO_OTHER_MODEL,
            f"its sidecar was injected for ObservedModel {pod.model}; "
            "restart the pod to have it injected for this one",
        )
    if pod.phase != "Running":
        return Refusal(
            Reason.POD_NOT_RUNNING,
            f"the pod is {pod.phase}; kubectl describe pod {pod.name} says what it waits for",
        )
    if not pod.sidecar_ready:
        return Refusal(
            Reason.SIDECAR_NOT_READY,
            f"the sidecar has not started; see kubectl logs {pod.name} -c sidelight",
        )
    answer = answers.get(pod.uid)
    if answer is None:
        return Refusal(Reason.SIDECAR_UNREACHABLE, "the sidecar has not been asked yet")
    return answer if isinstance(answer, Refusal) else None


def _ready(
    pods: Sequence[PodView],
    missing: Sequence[tuple[PodView, Refusal]],
    problem: Refusal | None,
    answered: Sequence[tuple[PodView, Summary]],
) -> Judged:
    ready = ConditionType.READY
    if problem is not None:
        return ready, "False", problem.reason, problem.message
    if not pods:
        return ready, "False", Reason.NO_PODS_SELECTED, _NO_PODS
    if missing:
        counts = Counter(why.reason for _, why in missing)
        which = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        message = f"{len(missing)} of {len(pods)} selected pods are not observed ({which}); "
        message += "status.pods.notObserved names them"
        return ready, "False", Reason.SOME_PODS_NOT_OBSERVED, message
    refused = [(pod.name, s.sidecar.config_error) for pod, s in answered if s.sidecar.config_error]
    if refused:
        name, error = min(refused)
        message = f"{len(refused)} of {len(pods)} sidecars do not understand their configuration "
        message += f"and go on with the last good one (pod {name}: {error[:_MAX_CONFIG_ERROR]}); "
        message += "after an upgrade, restart the workload"
        return ready, "False", Reason.CONFIG_REFUSED, message
    return ready, "True", Reason.ALL_PODS_OBSERVED, f"{_all(len(pods))} observed"


_NO_PODS = (
    "spec.selector matches no pod of this namespace that is running or starting; compare it with "
    "kubectl get pods --show-labels"
)


def _injected(model: Model, pods: Sequence[PodView]) -> Judged:
    injected = ConditionType.INJECTED
    if not pods:
        return injected, "Unknown", Reason.NO_PODS_SELECTED, _NO_PODS
    without = sum(pod.model != model.name for pod in pods)
    if without:
        message = f"{without} of {len(pods)} selected pods carry no sidecar of this ObservedModel"
        return injected, "False", Reason.SOME_PODS_NOT_INJECTED, message
    message = f"{_all(len(pods))} injected"
    return injected, "True", Reason.ALL_PODS_INJECTED, message


def _traffic_observed(pods: Sequence[PodView], whole: Figures) -> Judged:
    observed = ConditionType.TRAFFIC_OBSERVED
    if not pods:
        return observed, "Unknown", Reason.NO_PODS_SELECTED, _NO_PODS
    if not whole.pods:
        return observed, "Unknown", Reason.NO_SIDECAR_ANSWERED, "no sidecar has answered yet"
    if not whole.total.requests:
        message = "no inference request has ended at a sidecar yet; send one through the Service"
        return observed, "False", Reason.NO_REQUESTS_YET, message
    return observed, "True", Reason.REQUESTS_SEEN, "requests are seen by the sidecars"


def _breaker_open(breaker: Breaker) -> Judged:
    kind = ConditionType.BREAKER_OPEN
    if not breaker.entries:
        message = "no pod has failed to start because of Sidelight under this spec and release"
        return kind, "False", Reason.BREAKER_CLOSED, message
    which = ", ".join(sorted(entry.workload for entry in breaker.entries)[:MAX_NAMED_WORKLOADS])
    message = f"new pods of {which} get no sidecar; status.breaker says why"
    return kind, "True", Reason(breaker.entries[-1].reason), message


def _up_to_date(rollout: RolloutPlan | None) -> tuple[Judged, ...]:
    if rollout is None:
        return ()
    return ((ConditionType.UP_TO_DATE, rollout.status, rollout.reason, rollout.message),)


def _all(count: int) -> str:
    return "the selected pod is" if count == 1 else f"all {count} selected pods are"


def _condition(model: Model, now: datetime, judged: Judged) -> Condition:
    kind, status, reason, message = judged
    before = previous_condition(model, kind)
    changed = before.get("status") != status or "lastTransitionTime" not in before
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=format_time(now) if changed else before["lastTransitionTime"],
        observed_generation=model.generation,
    )


def previous_condition(model: Model, kind: ConditionType) -> dict[str, str]:
    """The condition as the last round left it; `{}` when there is none."""
    conditions = model.status.get("conditions") or ()
    return next((found for found in conditions if found.get("type") == kind), {})


def _pods_status(pods: Sequence[PodView], missing: Sequence[tuple[PodView, Refusal]]) -> Pods:
    selected = len(pods)
    observed = selected - len(missing)
    named = sorted(missing, key=lambda item: item[0].name)[:MAX_NAMED_PODS]
    return Pods(
        selected=selected,
        observed=observed,
        ratio=f"{observed}/{selected}",
        outdated=sum(pod.outdated for pod in pods),
        not_observed=[
            NotObservedPod(name=pod.name, reason=why.reason, message=why.message)
            for pod, why in named
        ],
        not_observed_total=len(missing),
    )


def _modes(model: Model, pods: Sequence[PodView], answers: Mapping[str, Answer]) -> list[ModeCount]:
    """By mode and reason; the sentence is that of the pod with the first name."""
    modes: dict[tuple[str, str], list[PodView]] = {}
    for pod in pods:
        if pod.model == model.name and pod.injection.mode:
            modes.setdefault((pod.injection.mode, pod.injection.mode_reason), []).append(pod)
    return [
        ModeCount(
            mode=mode,
            reason=reason,
            message=min(members, key=lambda pod: pod.name).injection.mode_message,
            pods=len(members),
            coverage=_coverage_of(mode, members, answers),
        )
        for (mode, reason), members in sorted(modes.items())[:MAX_MODES]
    ]


def _coverage_of(
    mode: str, pods: Sequence[PodView], answers: Mapping[str, Answer]
) -> Coverage | None:
    if mode != InterceptionMode.TAP:
        return None
    told = (answers.get(pod.uid) for pod in pods)
    return coverage_status([answer for answer in told if isinstance(answer, Summary)])


def _events(
    model: Model,
    missing: Sequence[tuple[PodView, Refusal]],
    status: ObservedModelStatus,
    now: datetime,
    told: AbstractSet[tuple[str, Reason]],
) -> list[Told]:
    """What changed since the last round. Only pods that the status names are told of."""
    assert status.pods is not None
    views = {pod.name: pod for pod, _ in missing}
    events = []
    for item in status.pods.not_observed:
        reason = Reason(item.reason)
        if reason in _ON_THEIR_WAY:
            continue
        starting = reason in _STARTING_REASONS and now - views[item.name].created < STARTING
        if (item.name, reason) not in told and not starting:
            message = f"pod {item.name} is not observed: {item.message}"
            workload = views[item.name].workload
            events.append(Told("Warning", reason, message, item.name, workload))
    before = previous_condition(model, ConditionType.READY)
    occasion = f"{before.get('reason', '')} {before.get('lastTransitionTime', '')}"
    ready = status.conditions[0]
    if ready.status == "True" and before.get("status") != "True":
        all_observed = Reason.ALL_PODS_OBSERVED
        events.append(Told("Normal", all_observed, ready.message, occasion=occasion))
    problem = ready.status == "False" and ready.reason != Reason.SOME_PODS_NOT_OBSERVED
    if problem and before.get("reason") != ready.reason:
        events.append(Told("Warning", Reason(ready.reason), ready.message, occasion=occasion))
    return events


def _breaker_events(breaker: Breaker) -> list[Told]:
    opened = [
        Told(
            "Warning",
            Reason(entry.reason),
            f"pods of {entry.workload} did not start because of Sidelight, which stays out of "
            f"them from now on: {entry.message}",
            workload=entry.workload,
            occasion=f"{entry.generation} {entry.release}",
        )
        for entry in breaker.opened
    ]
    closed = [
        Told(
            "Normal",
            Reason.BREAKER_CLOSED,
            f"new pods of {entry.workload} get a sidecar again: the ObservedModel's spec, or "
            "Sidelight's release or image, has changed",
            workload=entry.workload,
            occasion=entry.since,
        )
        for entry in breaker.closed
    ]
    return [*closed, *opened]


def _turned_events(model: Model, status: ObservedModelStatus) -> list[Told]:
    """Pods of one version have come to differ, or GPUs to be unwell (in another way); or it is so
    no longer. Where that is not known any more, nothing is told.
    """
    events = []
    for now in status.conditions:
        if now.type not in _TOLD_WHEN_TURNED:
            continue
        before = previous_condition(model, ConditionType(now.type))
        was, is_now = before.get("status") == "False", now.status == "False"
        if (is_now and now.reason != before.get("reason")) or (was and now.status == "True"):
            occasion = f"{before.get('reason', '')} {before.get('lastTransitionTime', '')}"
            kind: Literal["Normal", "Warning"] = "Warning" if is_now else "Normal"
            events.append(Told(kind, Reason(now.reason), now.message, occasion=occasion))
    return events


def _verdict_events(model: Model, compare: CompareStatus | None) -> list[Told]:
    """A verdict that is another one than in the round before; the first is none yet."""
    before = comparing.before(model)
    if compare is None or compare.verdict == (before.verdict if before else "NeedMoreData"):
        return []
    return [
        Told(
            "Warning" if compare.verdict == "Rollback" else "Normal",
            Reason(compare.verdict),
            f"{compare.candidate or 'no version'}: {comparing.said(compare)}",
            occasion=f"{compare.since} {before.verdict if before else ''}",
        )
    ]

"""Pods that run without a sidecar, as live attach sees them: with a tap, or for one."""

from dataclasses import replace

from sidelight_contract.names import Reason
from sidelight_operator.attach.decision import decide_tap, tapping
from sidelight_operator.attach.plan import Candidate, why_not_tapped
from sidelight_operator.attach.taps import tap_of
from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.pods import PodView, Refusal, injection_of, view_pod
from sidelight_operator.inject import Decision, NamespaceFacts
from sidelight_operator.inject.types import RefusedError
from sidelight_operator.kube import Json


def view_tapped(pod: Json, scene: Scene) -> PodView | None:
    """A pod with a tap: observed for the tap's ObservedModel while the tap runs. None: without."""
    tap = tap_of(pod)
    if tap is None or tap.record is None:
        return None
    assert scene.model.spec is not None
    view = view_pod(pod, scene.model.spec.version.labels, injection=injection_of(tap.record))
    why = why_not_tapped(view.name, tap)
    if why is not None:
        return replace(view, tap=tap, refusal=Refusal(*why))
    return replace(view, tap=tap, model=tap.record.model, sidecar_ready=True)


def consider(view: PodView, pod: Json, scene: Scene) -> PodView:
    """`view`, as a candidate for a tap where `rollout.attachRunning` asks for it.

    A pod that the webhook was asked about and left alone is none: what is asked for is to see the
    pods that were there before, or that the webhook missed.
    """
    model = scene.model
    assert model.spec is not None
    missed = view.refusal is not None and view.refusal.reason is Reason.WEBHOOK_MISSED
    if not model.spec.rollout.attach_running or not (missed or view.created < model.created):
        return view
    try:
        record = decide_tap(pod, lambda body: _decide(body, scene))
    except RefusedError as refused:
        message = f"it cannot be attached to: {refused.message}"
        return replace(view, refusal=Refusal(refused.reason, message))
    chosen = Candidate(view.name, view.uid, view.created, view.ready, record)
    return replace(view, candidate=chosen)


def _decide(pod: Json, scene: Scene) -> Decision:
    models = [
        replace(model, spec=tapping(model.spec))
        for model in scene.neighbours
        if model.spec is not None
    ]
    # An ephemeral container has no resources: the namespace's bounds are not about it.
    return scene.plan(pod, NamespaceFacts(scene.namespace.labels), models)

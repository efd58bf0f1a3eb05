"""Reads the pods that an ObservedModel selects, page by page, and keeps what matters of each."""

from dataclasses import dataclass, replace

from sidelight_contract import names
from sidelight_contract.spec import RolloutPolicy
from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.explain import refusal_of
from sidelight_operator.controller.models import selector_text
from sidelight_operator.controller.pods import (
    PodView,
    Target,
    is_injected,
    is_selected,
    view_pod,
)
from sidelight_operator.controller.tapped import consider, view_tapped
from sidelight_operator.controller.targets import Targets, target_of
from sidelight_operator.controller.trouble import never_ready, trouble_of
from sidelight_operator.inject.selectors import serves
from sidelight_operator.kube import Json, KubeClient


@dataclass(frozen=True, slots=True)
class Survey:
    """What a model's selector matches."""

    pods: tuple[PodView, ...] = ()
    """Those that have neither ended nor begun to end."""
    failed: tuple[PodView, ...] = ()
    """Those that ended because of Sidelight: a pod that is never restarted fails at once."""


async def survey(kube: KubeClient, scene: Scene, targets: Targets | None = None) -> Survey:
    """The pods of the model; `targets` remembers what they would be given."""
    targets = targets or Targets()
    model = scene.model
    assert model.spec is not None
    pods, failed = [], []
    async for pod in kube.list_pods(model.namespace, selector_text(model.spec.selector)):
        if not serves(model.spec.engine, pod["metadata"].get("labels") or {}):
            continue
        if is_selected(pod):
            pods.append(_view(pod, scene, targets))
        elif is_injected(pod) and "deletionTimestamp" not in pod["metadata"]:
            view = _injected(pod, scene, None)
            if view.trouble is not None:
                failed.append(view)
    targets.forget(model.uid, but=(pod.uid for pod in pods))
    return Survey(tuple(pods), tuple(failed))


def _view(pod: Json, scene: Scene, targets: Targets) -> PodView:
    if is_injected(pod):
        return _injected(pod, scene, targets.of(pod, scene))
    model = scene.model
    assert model.spec is not None
    if (tapped := view_tapped(pod, scene)) is not None:
        # Only where it would be restarted for it: a decision for each tap is not free.
        when_outdated = model.spec.rollout.policy is RolloutPolicy.WHEN_OUTDATED
        return replace(tapped, target=targets.of(pod, scene)) if when_outdated else tapped
    decision = scene.decide(pod)
    view = view_pod(pod, model.spec.version.labels, refusal_of(pod, model, decision))
    return consider(replace(view, target=target_of(decision)), pod, scene)


def _injected(pod: Json, scene: Scene, target: Target | None) -> PodView:
    assert scene.model.spec is not None
    view = view_pod(pod, scene.model.spec.version.labels)
    changed = bool(view.injection.previous_image)
    view = replace(
        view,
        never_ready=never_ready(pod),
        trouble=trouble_of(pod, scene.now, changed=changed),
        target=target,
    )
    if not (changed or view.image_outdated) or not _is_native(pod):
        return view
    metadata = pod["metadata"]
    annotation = metadata["annotations"][names.ANNOTATION_INJECTION]
    return replace(view, annotation=annotation, labels=metadata.get("labels"))


def _is_native(pod: Json) -> bool:
    """Whether the sidecar is restarted alone when its image changes."""
    inits = pod["spec"].get("initContainers") or ()
    return any(container["name"] == names.SIDECAR_CONTAINER for container in inits)

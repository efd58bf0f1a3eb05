"""Reads the pods that an ObservedModel selects, page by page, and keeps what matters of each."""

from dataclasses import dataclass, replace

from sidelight_operator.controller.decision import Scene
from sidelight_operator.controller.explain import refusal_of
from sidelight_operator.controller.models import selector_text
from sidelight_operator.controller.pods import PodView, is_injected, is_selected, view_pod
from sidelight_operator.controller.tapped import consider, view_tapped
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


async def survey(kube: KubeClient, scene: Scene) -> Survey:
    """The pods of the model."""
    model = scene.model
    assert model.spec is not None
    pods, failed = [], []
    async for pod in kube.list_pods(model.namespace, selector_text(model.spec.selector)):
        if not serves(model.spec.engine, pod["metadata"].get("labels") or {}):
            continue
        if is_selected(pod):
            pods.append(_view(pod, scene))
        elif is_injected(pod) and "deletionTimestamp" not in pod["metadata"]:
            view = _troubled(pod, scene)
            if view.trouble is not None:
                failed.append(view)
    return Survey(tuple(pods), tuple(failed))


def _view(pod: Json, scene: Scene) -> PodView:
    if is_injected(pod):
        return _troubled(pod, scene)
    model = scene.model
    assert model.spec is not None
    if (tapped := view_tapped(pod, scene)) is not None:
        return tapped
    refusal = refusal_of(pod, model, scene.decide(pod))
    return consider(view_pod(pod, model.spec.version.labels, refusal), pod, scene)


def _troubled(pod: Json, scene: Scene) -> PodView:
    assert scene.model.spec is not None
    view = view_pod(pod, scene.model.spec.version.labels)
    return replace(view, never_ready=never_ready(pod), trouble=trouble_of(pod, scene.now))

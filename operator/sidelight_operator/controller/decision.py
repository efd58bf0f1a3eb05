"""The injector's own decision, as the controller asks for it."""

from collections.abc import Mapping, Sequence

from sidelight_operator.controller.explain import Explain
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.controller.settings import Settings
from sidelight_operator.inject import (
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)
from sidelight_operator.kube import Json


def explainer(settings: Settings) -> Explain:
    """What the webhook would say of a pod, with the same settings as the webhook has."""
    injection = InjectionSettings(
        sidecar_image=settings.sidecar_image, image_pull_policy=settings.sidecar_pull_policy
    )

    def explain(
        pod: Json, namespace_labels: Mapping[str, str], models: Sequence[Model]
    ) -> Refusal | None:
        views = [
            ObservedModelView(name=model.name, spec=model.spec)
            for model in models
            if model.spec is not None
        ]
        decision = decide(pod, NamespaceFacts(labels=dict(namespace_labels)), views, injection)
        if decision.outcome == "inject":
            return None
        return Refusal(decision.reason, decision.message)

    return explain

"""The injector's own decision, as the controller asks for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidelight_operator.controller.models import Model
from sidelight_operator.controller.settings import Settings
from sidelight_operator.inject import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    decide,
)
from sidelight_operator.kube import Json

Plan = Callable[[Json, NamespaceFacts, Sequence[Model]], Decision]
"""`(pod, facts of its namespace, the models there)`: what the webhook would make of it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What decisions about a model's pods rest on, as it was when its round began."""

    model: Model
    neighbours: Sequence[Model]
    """The ObservedModels of its namespace, itself included."""
    namespace: NamespaceFacts
    plan: Plan
    now: datetime

    def decide(self, pod: Json) -> Decision:
        """What the webhook would make of `pod` now."""
        return self.plan(pod, self.namespace, self.neighbours)


def injection_settings(settings: Settings) -> InjectionSettings:
    """The webhook's own settings."""
    return InjectionSettings(
        sidecar_image=settings.sidecar_image,
        image_pull_policy=settings.sidecar_pull_policy,
        nvml_memory=settings.nvml_memory,
        allow_unsafe_visible_all=settings.allow_unsafe_visible_all,
    )


def planner(settings: Settings) -> Plan:
    """What the webhook would decide about a pod, with the same settings as the webhook has."""
    injection = injection_settings(settings)

    def plan(pod: Json, namespace: NamespaceFacts, models: Sequence[Model]) -> Decision:
        views = [
            ObservedModelView(model.name, model.spec, model.breaker)
            for model in models
            if model.spec is not None
        ]
        return decide(pod, namespace, views, injection)

    return plan

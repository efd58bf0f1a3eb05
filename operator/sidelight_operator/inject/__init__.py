"""Injection: one pure function from a pod and its surroundings to a decision with reasons."""

from sidelight_operator.inject.decide import decide
from sidelight_operator.inject.types import (
    Decision,
    InjectionSettings,
    NamespaceFacts,
    ObservedModelView,
    Outcome,
)

__all__ = [
    "Decision",
    "InjectionSettings",
    "NamespaceFacts",
    "ObservedModelView",
    "Outcome",
    "decide",
]

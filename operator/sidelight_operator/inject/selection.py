"""Which ObservedModel a pod belongs to, and whether its owner or the circuit breaker says no."""

from collections.abc import Sequence

from sidelight_contract import names
from sidelight_contract.names import Reason
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.inject.selectors import matches, serves
from sidelight_operator.inject.types import Json, ObservedModelView, RefusedError


def model_for(pod: Json, models: Sequence[ObservedModelView]) -> ObservedModelView:
    """The one ObservedModel that selects a pod.

    Raises:
        RefusedError: none does, several do, or the pod is to be left alone.
    """
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    selecting = [model for model in models if matches(model.spec.selector, labels)]
    if not selecting:
        raise RefusedError(Reason.NO_MODEL_MATCHES, "no ObservedModel selects this pod")
    if len(selecting) > 1:
        found = " and ".join(sorted(model.name for model in selecting))
        raise RefusedError(
            Reason.SEVERAL_MODELS_MATCH,
            f"the ObservedModels {found} select this pod; narrow their selectors so that one does",
        )
    model = selecting[0]
    if not serves(model.spec.engine, labels):
        raise RefusedError(
            Reason.POD_FILTERED,
            f"engine.podFilter of ObservedModel {model.name} leaves this pod out",
        )
    if labels.get(names.LABEL_INJECT) == "false":
        raise RefusedError(
            Reason.OPTED_OUT, f'the pod carries the label {names.LABEL_INJECT}: "false"'
        )
    _check_breaker(workload_of(metadata), model)
    return model


def _check_breaker(workload: str, model: ObservedModelView) -> None:
    if workload in model.breaker:
        raise RefusedError(
            Reason.BREAKER_OPEN,
            f"pods of {workload} did not start because of Sidelight; status.breaker of "
            f"ObservedModel {model.name} says why. It closes when the ObservedModel's spec "
            "or Sidelight's release or image changes",
        )

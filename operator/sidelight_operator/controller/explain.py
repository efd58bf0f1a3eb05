"""Why a selected pod carries no sidecar: what the webhook would say of it today."""

from sidelight_contract.names import Reason
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.inject import Decision, Outcome
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.kube import Json


def refusal_of(pod: Json, model: Model, decision: Decision) -> Refusal:
    """Why `pod`, which `model` selects, carries no sidecar, and what to do about it.

    Args:
        pod: as it runs.
        model: what selects it.
        decision: what the webhook would make of it today.
    """
    if decision.outcome is not Outcome.INJECT:
        return Refusal(decision.reason, decision.message)
    workload = workload_of(pod["metadata"])
    namespace = model.namespace
    restart = (
        f"restart it with kubectl -n {namespace} rollout restart {workload}"
        if workload.startswith(("deployment/", "statefulset/", "daemonset/"))
        else f"have {workload} create it anew"
        if workload
        else "delete and create it anew"
    )
    if parse_time(pod["metadata"]["creationTimestamp"]) < model.created:
        return Refusal(
            Reason.CREATED_BEFORE_MODEL,
            f"it was created before ObservedModel {model.name}; {restart}",
        )
    return Refusal(
        Reason.WEBHOOK_MISSED,
        "it was created while Sidelight's webhook could not be reached, or stayed out of its "
        f"workload (circuit breaker); {restart}",
    )

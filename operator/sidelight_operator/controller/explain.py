"""Why a selected pod carries no sidecar: what the webhook would say of it today."""

from collections.abc import Callable, Mapping, Sequence

from sidelight_contract.names import Reason
from sidelight_operator.controller.models import Model, parse_time
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.inject.owner import workload_of
from sidelight_operator.kube import Json

Explain = Callable[[Json, Mapping[str, str], Sequence[Model]], Refusal | None]
"""`(pod, labels of its namespace, the namespace's models)`: why the webhook would not inject it;
None when it would."""


def refusal_of(
    pod: Json,
    namespace_labels: Mapping[str, str],
    model: Model,
    models: Sequence[Model],
    explain: Explain,
) -> Refusal:
    """Why `pod`, which `model` selects, carries no sidecar, and what to do about it."""
    refused = explain(pod, namespace_labels, models)
    if refused is not None:
        return refused
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
        f"it was created while Sidelight's webhook could not be reached; {restart}",
    )

"""Whether a running pod may have a tap: the injector's own decision, with mode Tap asked for."""

from collections.abc import Callable

from sidelight_contract import names
from sidelight_contract.injection import InjectionRecord, decode_record
from sidelight_contract.names import Reason
from sidelight_contract.spec import Interception, ObservedModelSpec, RequestedMode
from sidelight_contract.weights import WeightsState
from sidelight_operator.attach.taps import tap_of
from sidelight_operator.inject import Decision
from sidelight_operator.inject.types import Json, RefusedError

_MESSAGE = "the pod was running already; a container reads its packets, and nothing is in its path"


def tapping(spec: ObservedModelSpec) -> ObservedModelSpec:
    """`spec`, if it asked for mode Tap."""
    return spec.model_copy(update={"interception": Interception(mode=RequestedMode.TAP)})


def decide_tap(pod: Json, decide: Callable[[Json], Decision]) -> InjectionRecord:
    """What to attach to `pod`, which runs; `decide` is the injector with `tapping` specs.

    Raises:
        RefusedError: it may not, or need not, be attached to.
    """
    _check_new(pod)
    decision = decide(pod)
    if decision.patched is None:
        raise RefusedError(decision.reason, decision.message)
    record = decode_record(decision.patched["metadata"]["annotations"][names.ANNOTATION_INJECTION])
    assert record is not None
    record.mode_reason = Reason.ATTACHED_TO_RUNNING_POD.value
    record.mode_message = _MESSAGE
    record.config_hash = ""  # of a sidecar; nothing about a tap can be outdated and mended
    if record.weights_message:
        record.weights = WeightsState.ATTACHED.value
        record.weights_message = "a tap in a running pod mounts nothing"
    if record.gpu_message:
        record.gpu = Reason.NO_DEVICE_CLAIM.value
        record.gpu_message = "a tap in a running pod can share no device claim; restart the pod"
    return record


def _check_new(pod: Json) -> None:
    labels = pod["metadata"].get("labels") or {}
    if labels.get(names.LABEL_INJECTED) == "true":
        raise RefusedError(Reason.INJECTED, "the pod has a sidecar already")
    if tap_of(pod) is not None:
        raise RefusedError(
            Reason.NAME_TAKEN,
            f"the pod has an ephemeral container {names.TAP_CONTAINER} already, and there can be "
            "only one; restart the pod for a sidecar",
        )

"""From faults of devices to the condition GPUHealthy and its Events. Pure.

Rules:
1. What holds now is a fault while it is told: a device that is lost, a failed row remapping, heat.
   An error that has happened counts for `REMEMBERED` after its last time, one that is the
   engine's own doing for `REMEMBERED_OWN`: a device that has run well since is well.
2. Neither times nor counts are in the message, so that a status is not rewritten with each of them;
   the sidecar's metrics have both.
3. There is no such condition where no pod has a GPU, or nobody is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from sidelight_contract.gpu import Fault, FaultKind
from sidelight_contract.names import ConditionType, Reason
from sidelight_operator.controller.facts import Member
from sidelight_operator.controller.gpus import gpu_condition, has_gpu
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model

REMEMBERED = timedelta(hours=24)
REMEMBERED_OWN = timedelta(hours=1)
MAX_FAULTS_NAMED = 3
_MAX_DEVICE = 40
_HOLDING = frozenset({FaultKind.LOST, FaultKind.ROW_REMAP_FAILED, FaultKind.THERMAL})

_RESTART = "the engine's own error more often than the device's: look at its log, and restart it"
_RESET = "drain the node and reset the device"
_REPLACE = "drain the node; if a reset does not help, have the device replaced"
_WATCH = "reset the device when its node can be drained"


@dataclass(frozen=True, slots=True)
class Xid:
    """What NVIDIA's driver means by a number, and what to do."""

    words: str
    todo: str
    own: bool = False
    """Most often the doing of the program that runs on the device."""


XIDS: Mapping[int, Xid] = {
    13: Xid("an exception in a kernel", _RESTART, own=True),
    31: Xid("a memory page fault", _RESTART, own=True),
    43: Xid("a program's channel was stopped", _RESTART, own=True),
    45: Xid("a program was ended after an earlier error", _RESTART, own=True),
    48: Xid("an uncorrectable memory error", _RESET),
    63: Xid("a memory row was remapped or is to be", _WATCH),
    64: Xid("a memory row could not be remapped", _REPLACE),
    74: Xid("an error of an NVLink", _REPLACE),
    79: Xid("the device has fallen off the bus", _REPLACE),
    92: Xid("many correctable memory errors", _WATCH),
    94: Xid("a memory error that was contained", "restart the engine; " + _WATCH),
    95: Xid("a memory error that was not contained", _RESET),
    119: Xid("its firmware (GSP) does not answer", _RESET),
    120: Xid("an error of its firmware (GSP)", _RESET),
}
"""The well-known ones; of others the number is said."""
_OTHER = Xid("", "look it up in NVIDIA's list of XID errors")
_KINDS: Mapping[str, tuple[str, str]] = {
    FaultKind.LOST: ("it is gone, or its driver does not answer any more", _REPLACE),
    FaultKind.ECC_UNCORRECTED: ("uncorrectable memory errors (ECC)", _RESET),
    FaultKind.ROW_REMAP_FAILED: ("memory rows cannot be remapped any more", _REPLACE),
    FaultKind.THERMAL: ("it is throttled by heat", "look at the node's cooling"),
}
_ORDER = (FaultKind.LOST, FaultKind.ROW_REMAP_FAILED, FaultKind.ECC_UNCORRECTED, FaultKind.XID)


def gpu_conditions(
    model: Model,
    answered: Sequence[Member],
    now: datetime,
    *,
    allow_visible_all: bool,
    problem: str = "",
) -> tuple[Judged, ...]:
    """GPUVisible and GPUHealthy; the arguments are those of the two."""
    seen = gpu_condition(
        model, answered, allow_visible_all=allow_visible_all, problem=problem
    )  # fmt: skip
    return *seen, *health_condition(answered, now)


def health_condition(answered: Sequence[Member], now: datetime) -> tuple[Judged, ...]:
    """The condition GPUHealthy of pods whose sidecars answered."""
    members = [member for member in answered if has_gpu(member) and member[1].gpu.sidecars > 0]
    if not members:
        return ()
    faults = [
        replace(fault, pod=pod.name)
        for pod, summary in members
        for fault in summary.gpu.faults
        if _counts(fault, now)
    ]
    return (_judge(members, faults),)


def _judge(members: Sequence[Member], faults: Sequence[Fault]) -> Judged:
    kind = ConditionType.GPU_HEALTHY
    errors = [fault for fault in faults if fault.kind != FaultKind.THERMAL]
    if errors:
        return kind, "False", Reason.GPU_ERRORS, _said(errors)
    if faults:
        return kind, "False", Reason.GPU_THROTTLED, _said(faults)
    if not any(summary.gpu.seen for _, summary in members):
        message = "nothing tells how the GPUs are; GPUVisible says why"
        return kind, "Unknown", Reason.GPU_HEALTH_UNKNOWN, message
    message = "no error of a GPU is known, and none is throttled by heat"
    return kind, "True", Reason.GPUS_HEALTHY, message


def _counts(fault: Fault, now: datetime) -> bool:
    if fault.kind in _HOLDING or not fault.at:
        return True
    own = fault.kind == FaultKind.XID and XIDS.get(fault.code, _OTHER).own
    age = now.timestamp() - fault.at
    return age < (REMEMBERED_OWN if own else REMEMBERED).total_seconds()


def _said(faults: Sequence[Fault]) -> str:
    """The worst, by pod and device; never when or how often."""
    sentences = list(dict.fromkeys(_sentence(fault) for fault in sorted(faults, key=_place)))
    more = len(sentences) - MAX_FAULTS_NAMED
    named = "; ".join(sentences[:MAX_FAULTS_NAMED])
    return f"{named}; and {more} more" if more > 0 else named


def _place(fault: Fault) -> tuple[bool, int, str, str, int]:
    own = fault.kind == FaultKind.XID and XIDS.get(fault.code, _OTHER).own
    place = _ORDER.index(FaultKind(fault.kind)) if fault.kind in _ORDER else len(_ORDER)
    return own, place, fault.pod, fault.device, fault.code


def _sentence(fault: Fault) -> str:
    words, todo = _KINDS.get(fault.kind, (fault.kind[:_MAX_DEVICE], "see the driver's log"))
    if fault.kind == FaultKind.XID:
        xid = XIDS.get(fault.code, _OTHER)
        words = f"XID {fault.code}, {xid.words}" if xid.words else f"XID {fault.code}"
        todo = xid.todo
    return f"pod {fault.pod}, device {fault.device[:_MAX_DEVICE]}: {words} ({todo})"

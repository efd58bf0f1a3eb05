"""What a device did in an interval, by the first rule that holds. Pure.

Rules of the rules:
1. They go by what the source tells. What it does not tell is no evidence: without tensor and DRAM
   activity a device that works is `busy`, and nothing is guessed.
2. Each rule has a row in docs/gpu-states.md, in this order, and a test says so.
"""

from collections.abc import Callable

from sidelight_contract.gpu import GpuState
from sidelight_sidecar.observer.accelerators.intervals import Interval
from sidelight_sidecar.observer.accelerators.traffic import InFlight

HELD_SHARE = 0.5
"""Of the interval. Half: what held the clocks for less had less to do with it than the rest."""
QUIET_UTILIZATION = 0.05
"""Share of time with any kernel running. 5 %: engines without work run none; a driver rounds."""
QUIET_ACTIVE = 0.02
"""Share of the multiprocessors' time with work on them, where utilisation is not told (MIG)."""
QUIET_POWER = 0.1
"""Of the way from idle power to the limit, where nothing else is told."""
COVERED = 0.5
"""Requests were in flight for so much of the interval: else what it did was mostly not theirs."""
TENSOR_BOUND = 0.3
"""Tensor pipes issue in so much of the cycles. A prefill that is bound by them has some 0.4 to 0.7:
not 1, for attention, norms and launches are between the multiplications."""
DRAM_BOUND = 0.5
"""The memory interface moves data in so much of the cycles. A decode that is bound by it has 0.5 to
0.9; refresh and turn-arounds keep it from 1."""


def state_of(interval: Interval, traffic: InFlight, idle_watts: float | None = None) -> GpuState:
    """The state.

    Args:
        interval: what the device told.
        traffic: of the pod in the same time.
        idle_watts: the least power that this device was seen to take without requests.
    """
    for state, holds in RULES:
        if holds(interval, traffic, idle_watts):
            return state
    return GpuState.BUSY


def quiet(interval: Interval, idle_watts: float | None) -> bool | None:
    """Whether it did next to nothing; None: nothing tells."""
    if interval.utilization is not None:
        return interval.utilization < QUIET_UTILIZATION
    if interval.sm_active is not None:
        return interval.sm_active < QUIET_ACTIVE
    power, limit = interval.power_watts, interval.power_limit_watts
    if power is None or limit is None or idle_watts is None or interval.device.shared:
        return None
    return power < idle_watts + QUIET_POWER * max(0.0, limit - idle_watts)


def _throttled(interval: Interval, traffic: InFlight, idle_watts: float | None) -> bool:
    """Heat or power held the clocks down for half of the interval, and it had work: a driver may
    name the power cap of a device that does nothing.
    """
    share = interval.held_share
    if share is None or share < HELD_SHARE:
        return False
    return _asked(interval, traffic) or quiet(interval, idle_watts) is not True


def _idle(interval: Interval, traffic: InFlight, idle_watts: float | None) -> bool:
    """No request was in flight for most of it, and it did next to nothing, as far as is told."""
    return not _asked(interval, traffic) and quiet(interval, idle_watts) is not False


def _waiting(interval: Interval, traffic: InFlight, idle_watts: float | None) -> bool:
    """Requests were in flight for most of it, and it did next to nothing."""
    return _asked(interval, traffic) and quiet(interval, idle_watts) is True


def _asked(interval: Interval, traffic: InFlight) -> bool:
    return traffic.covered_ns >= COVERED * interval.span_ns


def _compute_bound(interval: Interval, traffic: InFlight, idle_watts: float | None) -> bool:  # noqa: ARG001
    """Its tensor pipes were used much, and more than its memory."""
    tensor, dram = interval.tensor_active, interval.dram_active
    return tensor is not None and tensor >= TENSOR_BOUND and (dram is None or tensor >= dram)


def _memory_bound(interval: Interval, traffic: InFlight, idle_watts: float | None) -> bool:  # noqa: ARG001
    """Its memory was used much."""
    return interval.dram_active is not None and interval.dram_active >= DRAM_BOUND


Rule = Callable[[Interval, InFlight, float | None], bool]
RULES: tuple[tuple[GpuState, Rule], ...] = (
    (GpuState.THROTTLED, _throttled),
    (GpuState.IDLE, _idle),
    (GpuState.WAITING, _waiting),
    (GpuState.COMPUTE_BOUND, _compute_bound),
    (GpuState.MEMORY_BOUND, _memory_bound),
)

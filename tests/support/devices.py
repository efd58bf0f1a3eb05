"""Devices and samples that tests make up, and a source that gives them."""

from __future__ import annotations

import asyncio
from typing import Any

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.intervals import Interval
from sidelight_sidecar.observer.accelerators.source import Device, Sample, SourceState

SECOND = 1_000_000_000
H100 = "NVIDIA H100 80GB HBM3"
ONE = Device("GPU-5ba1e000-0000-4000-8000-000000000001", "0", H100)
TWO = Device("GPU-5ba1e000-0001-4001-8001-000000000002", "1", H100)
FRESH = SourceState(GpuSource.NVML, fresh=True, reason=Reason.GPUS_SEEN, period_seconds=0.1)
SLOW = SourceState(GpuSource.DCGM, fresh=True, reason=Reason.GPUS_SEEN, period_seconds=15.0)
STALE = SourceState(
    GpuSource.NVML, fresh=False, reason=Reason.GPU_STALE, message="the driver does not answer",
    period_seconds=0.1,
)  # fmt: skip

ALL: dict[str, Any] = {
    "utilization": 0.9, "sm_active": 0.8, "tensor_active": 0.3, "dram_active": 0.6,
    "memory_used_bytes": 7, "memory_reserved_bytes": 1, "memory_total_bytes": 80,
    "power_watts": 500.0, "power_limit_watts": 700.0, "energy_joules": 1234.5,
    "temperature_celsius": 61.0, "memory_temperature_celsius": 74.0, "clock_hertz": 1.7e9,
    "memory_clock_hertz": 2.6e9, "clock_events": frozenset({"sw_power_cap"}),
    "xid_errors": {31: 2}, "ecc_errors": {"corrected": 1, "uncorrected": 0},
    "row_remap_failed": False, "nvlink_bytes": {"tx": 5, "rx": 6}, "pcie_bytes": {"tx": 7},
}  # fmt: skip
"""All that a device can tell."""


def sample(seconds: float, device: Device = ONE, **told: Any) -> Sample:
    """What a device tells at that time."""
    return Sample(device, round(seconds * SECOND), **told)


def interval(since: float = 0.0, until: float = 1.0, device: Device = ONE, **told: Any) -> Interval:
    """What a device did from one time to another."""
    return Interval(device, round(since * SECOND), round(until * SECOND), **told)


class MadeUpSource:
    """Gives what the test puts in."""

    def __init__(self, state: SourceState = FRESH) -> None:
        self.samples: list[Sample] = []
        self._state = state
        self.running = 0
        self.fails: Exception | None = None

    async def run(self) -> None:
        """Nothing to read."""
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    def take(self) -> list[Sample]:
        """What was put in."""
        if self.fails is not None:
            raise self.fails
        taken, self.samples = self.samples, []
        return taken

    @property
    def state(self) -> SourceState:
        """As it was made."""
        return self._state

    @state.setter
    def state(self, state: SourceState) -> None:
        self._state = state

"""Metrics of devices: what is of now goes with its source, what is counted stays."""

from __future__ import annotations

import re
from typing import Any

import pytest
from devices import ALL, FRESH, ONE, SECOND, STALE, TWO, sample
from observed import Kept, pipeline_of
from prometheus_client.parser import text_string_to_metric_families

from sidelight_sidecar.observer.accelerators.source import Device, SourceState
from sidelight_sidecar.observer.app import register_devices
from sidelight_sidecar.observer.energy.told import Outcome, Told
from sidelight_sidecar.observer.pipeline import Pipeline


class World:
    """A pipeline with its metrics, and the time."""

    def __init__(self) -> None:
        self.now = 0
        self.pipeline: Pipeline = pipeline_of(Kept())
        register_devices(self.pipeline, lambda: self.now)

    def take(self, at: float, *devices: Device, state: SourceState = FRESH, **told: Any) -> None:
        """A sample of each device."""
        self.now = round(at * SECOND)
        samples = [sample(at, device, **told) for device in devices]
        self.pipeline.devices_said(samples, state, self.now)

    def found(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Values of the series of that name by the values of their further labels in the order of
        these labels' names.
        """
        wanted = {"gpu": "0", "uuid": ONE.uuid, "gpu_instance_id": "", "mig_profile": "",
                  "shared": "", **labels}  # fmt: skip
        return {
            tuple(value for label, value in one.labels.items() if label not in wanted): one.value
            for family in text_string_to_metric_families(self.pipeline.exposition().decode())
            for one in family.samples
            if one.name == f"sidelight_gpu_{name}"
            and all(one.labels.get(label, value) == value for label, value in wanted.items())
        }


def test_all_that_a_device_tells_has_a_series() -> None:
    """In base units."""
    world = World()
    world.take(1, ONE, **ALL)
    for name, value in (
        ("utilization_ratio", 0.9), ("sm_active_ratio", 0.8), ("tensor_active_ratio", 0.3),
        ("dram_active_ratio", 0.6), ("memory_used_bytes", 7), ("memory_reserved_bytes", 1),
        ("memory_total_bytes", 80), ("power_watts", 500), ("power_limit_watts", 700),
        ("energy_joules_total", 1234.5), ("row_remap_failed", 0), ("sample_age_seconds", 0),
    ):  # fmt: skip
        assert world.found(name) == {(): value}, name
    assert world.found("temperature_celsius") == {("gpu",): 61, ("memory",): 74}
    assert world.found("clock_hertz") == {("sm",): 1.7e9, ("mem",): 2.6e9}
    assert world.found("xid_errors_total") == {("31",): 2}
    assert world.found("ecc_errors_total") == {("corrected",): 1, ("uncorrected",): 0}
    assert world.found("nvlink_bytes_total") == {("tx",): 5, ("rx",): 6}
    assert world.found("pcie_bytes_total") == {("tx",): 7}
    events = world.found("clock_event_active")
    assert len(events) == 9
    assert {reason for (reason,), active in events.items() if active} == {"sw_power_cap"}
    assert world.found("source_up") == {("GPUsSeen", "NVML"): 1}
    assert world.found("source_period_seconds") == {(): 0.1}


def test_what_is_not_told_has_no_series() -> None:
    """Never zero."""
    world = World()
    world.take(1, ONE)
    text = world.pipeline.exposition().decode()
    series = set(re.findall(r"^sidelight_gpu\w+", text, re.MULTILINE))
    assert {name for name in series if not name.startswith("sidelight_gpu_energy")} == {
        "sidelight_gpu_info", "sidelight_gpu_last_xid", "sidelight_gpu_sample_age_seconds",
        "sidelight_gpu_source_period_seconds", "sidelight_gpu_state_seconds_total",
        "sidelight_gpu_source_up", "sidelight_gpu_told_refused_total",
    }  # fmt: skip


def test_labels_tell_instances_and_shared_devices_apart() -> None:
    """Of a whole device of one's own these labels are empty, which is none to Prometheus."""
    part = Device("MIG-p", "0", "H100", shared=True, instance="3", profile="1g.10gb",
                  facts={"driver_version": "580.95", "vendor": "nvidia"})  # fmt: skip
    world = World()
    world.take(1, part, sm_active=0.5)
    labels = {"uuid": "MIG-p", "gpu_instance_id": "3", "mig_profile": "1g.10gb", "shared": "true"}
    assert world.found("sm_active_ratio", **labels) == {(): 0.5}
    assert world.found("info", **labels) == {("", "580.95", "H100", "", "nvidia"): 1}


def test_a_source_that_falls_silent_leaves_no_frozen_values() -> None:
    """What was counted here stays."""
    world = World()
    for second in range(4):
        world.take(second, ONE, **ALL)
    world.take(6, state=FRESH)
    assert world.found("power_watts") == {(): 500}
    assert world.found("sample_age_seconds") == {(): 3}
    states = world.found("state_seconds_total")
    assert sum(states.values()) == 3
    world.take(7, state=STALE)
    for name in ("power_watts", "energy_joules_total", "sample_age_seconds", "info", "last_xid",
                 "clock_event_active", "source_period_seconds"):  # fmt: skip
        assert world.found(name) == {}, name
    assert world.found("source_up") == {("GPUStale", "NVML"): 0}
    assert world.found("state_seconds_total") == states
    assert world.found("throttled_seconds_total") == {("sw_power_cap",): 3}


def test_a_device_that_is_gone_takes_its_values_with_it() -> None:
    """Though others go on."""
    world = World()
    world.take(1, ONE, TWO, **ALL)
    for second in range(2, 8):
        world.take(second, TWO, **ALL)
    assert world.found("power_watts") == {}
    assert world.found("power_watts", gpu="1", uuid=TWO.uuid) == {(): 500}


def test_phases_are_counted_beside_what_devices_did() -> None:
    """Their quotient is a mean."""
    world = World()
    for second in range(12):
        world.take(second, ONE, TWO, dram_active=0.25)
    seconds = world.found("phase_seconds_total")
    active = world.found("phase_activity_seconds_total")
    assert seconds == {("none",): 20}
    assert active == {("dram_active", "none"): 5}, "what no device tells is not nought"


def test_the_last_xid_is_shown_where_there_are_no_counts() -> None:
    """Also one that was there before, which is no fault."""
    world = World()
    world.take(1, ONE, last_xid=31)
    assert world.found("last_xid") == {(): 31}
    assert world.pipeline.summary(world.now).gpu.faults == []


def test_energy_of_requests_under_way_is_in_no_counter_by_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It falls when one ends, which is how a counter begins anew."""
    world = World()
    told = Told(level="request", by_outcome={Outcome.COMPLETE: 7000, Outcome.RUNNING: 5000})
    monkeypatch.setattr(world.pipeline.accelerators.energy, "told", lambda: told)
    text = world.pipeline.exposition().decode()
    found = re.findall(r'sidelight_request_energy_outcome_joules_total\{outcome="(\w+)"', text)
    assert found == ["complete"]


def test_without_a_source_there_is_no_series() -> None:
    """But one: how often something was told that is no exporter."""
    world = World()
    text = world.pipeline.exposition().decode()
    series = [line for line in text.splitlines() if line.startswith("sidelight_gpu")]
    assert series == ["sidelight_gpu_told_refused_total 0.0"]


def test_a_mistake_leaves_all_other_metrics() -> None:
    """And says that the source is not up."""
    world = World()
    world.take(1, ONE, **ALL)
    world.pipeline.accelerators.devices[ONE.uuid].newest = None  # type: ignore[assignment]
    assert world.found("source_up") == {("GPUStale", "Auto"): 0}
    assert "sidelight_build_info" in world.pipeline.exposition().decode()

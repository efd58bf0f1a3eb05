"""A whole sidecar that reads NVIDIA's mock cards itself: what it shows, and what is left of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from gpu_sidecar import Sidecar, running
from mock_nvml import Driver, library, uuid
from prometheus import until

from sidelight_contract.export import ExportSettings
from sidelight_contract.gpu import GpuSettings
from sidelight_contract.summary import Summary
from sidelight_sidecar.coding import zstd
from sidelight_sidecar.nvml.words import PROCESS_NAME
from sidelight_sidecar.observer.accelerators.nvml import there

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def sidecar(node: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sidecar:
    """Its environment has the node's driver."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library()))
    monkeypatch.setenv("MOCK_NVML_STATE", str(node.path))
    return Sidecar(tmp_path)


def told_of(sidecar: Sidecar) -> Summary | None:
    """What it tells, when it tells of intervals."""
    told = sidecar.summary()
    return told if told is not None and told.gpu.states_ms else None


def test_driver_is_read_while_requests_are_served(node: Driver, sidecar: Sidecar) -> None:
    """Ten times a second, with joules of requests; the process that reads ends with the sidecar."""
    node.say(count=2)
    sidecar.configure(GpuSettings("NVML"), "nvml")
    with running(sidecar):
        until(lambda: sidecar.metric("sidelight_gpu_power_watts"), "the driver is read")
        for _ in range(5):
            sidecar.ask()
        told = until(lambda: told_of(sidecar), "an interval was looked at")
        assert told.gpu.devices == {"NVIDIA H100 80GB HBM3": 2}
        assert (told.gpu.sources, told.gpu.energy_level) == ({"NVML": 1}, "request")
        assert set(told.gpu.states_ms) == {"throttled"}
        assert set(told.gpu.throttled_ms) == {"sw_power_cap", "sw_thermal"}
        assert told.gpu.throttled.value == pytest.approx(1.0)
        assert told.gpu.power_watts.value == pytest.approx(512.345)
        assert sidecar.metric("sidelight_gpu_dram_active_ratio") == {"0": 0.7, "1": 0.7}
        until(
            lambda: sidecar.metric("sidelight_request_energy_requests_total").get("") == 5,
            "requests have their shares",
        )
        assert sidecar.metric("sidelight_gpu_energy_unaccounted_joules") == {"": 0}
        assert there(PROCESS_NAME)
    until(lambda: not there(PROCESS_NAME), "no process is left")


def test_the_configuration_starts_and_ends_the_process(node: Driver, sidecar: Sidecar) -> None:
    """None of it while nobody asks, one while somebody does, and nothing of now without it."""
    sidecar.configure(GpuSettings(), "auto")
    with running(sidecar):
        assert not there(PROCESS_NAME)
        for revision in ("first", "second"):
            sidecar.configure(GpuSettings("NVML"), revision)
            until(lambda: sidecar.metric("sidelight_gpu_power_watts"), "the driver is read")
            assert there(PROCESS_NAME)
            sidecar.configure(GpuSettings("None"), f"{revision} none")
            until(lambda: not sidecar.metric("sidelight_gpu_power_watts"), "it is ended")
            until(lambda: not there(PROCESS_NAME), "and its process")
            told = sidecar.summary()
            assert told is not None
            assert told.gpu.sidecars == 0
            assert sidecar.metric("sidelight_gpu_source_up") == {}


def test_records_that_wait_for_their_joules_are_not_lost_at_the_end(
    node: Driver, sidecar: Sidecar, tmp_path: Path
) -> None:
    """The sidecar ends right after a request: its record is in the file."""
    export = msgspec.convert({"sinks": [{"kind": "file", "name": "files"}]}, ExportSettings)
    sidecar.configure(GpuSettings("NVML"), "nvml", export)
    records, spool = tmp_path / "records", tmp_path / "spool"
    with running(sidecar, "--records", str(records), "--spool", str(spool)):
        until(lambda: sidecar.metric("sidelight_capture_running") == {"": 1}, "it captures")
        until(lambda: sidecar.metric("sidelight_gpu_power_watts"), "the driver is read")
        sidecar.ask()
        until(lambda: sidecar.metric("sidelight_requests_total"), "the request is over")
    files = sorted(records.glob("files/*.jsonl.zst*"))
    lines = [line for path in files for line in zstd.decompress(path.read_bytes()).splitlines()]
    assert [json.loads(line)["model"] for line in lines] == ["base"]


def test_devices_that_are_not_the_pods_are_not_read(
    node: Driver, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the sidecar sees all of the node's, those that its environment names."""
    node.say(count=4)
    monkeypatch.setenv("SIDELIGHT_GPU_UUIDS", f"{uuid(2)},{uuid(1)}")
    sidecar.configure(GpuSettings("NVML", unsafe_visible_all=True), "nvml")
    with running(sidecar):
        watts = until(lambda: sidecar.metric("sidelight_gpu_power_watts"), "the driver is read")
        assert set(watts) == {"1", "2"}

"""The sidecar's source with a real driver and device. Collected by `make test-gpu` alone: it is
outside the folder that `make test` looks into, for a test that is skipped everywhere shows nothing.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from benchmarks.gpu.figures import counted_joules, integrated_joules
from benchmarks.gpu.measure import Eye, under_load

from sidelight_contract.names import Reason
from sidelight_sidecar.nvml.queries import QUERIES

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]
UUID = re.compile("(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SIGNALS = {signal for query in QUERIES for signal in query.signals}
ACTIVITY = {"sm_active", "tensor_active", "dram_active"}


@pytest.fixture(scope="module")
def eye() -> Iterator[Eye]:
    """A source that sees a device."""
    one = Eye()
    one.open()
    yield one
    one.close()


def test_who_the_devices_are(eye: Eye) -> None:
    """As the driver's own tool lists them."""
    eye.look(1.0)
    seen = {sample.device.uuid: sample.device for sample in eye.samples}
    assert all(UUID.fullmatch(uuid) for uuid in seen)
    assert all(device.model and device.facts["driver_version"] for device in seen.values())
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    assert set(seen) <= set(re.findall(r"UUID: ([^)]+)\)", listed))


def test_what_is_told_is_plausible(eye: Eye) -> None:
    """Units: a mistake of a thousand would be seen."""
    sample = eye.look(3.0)[-1]
    assert sample.power_watts is None or 1 < sample.power_watts < 3000
    assert sample.power_limit_watts is None or 10 < sample.power_limit_watts < 3000
    assert sample.clock_hertz is None or 1e7 < sample.clock_hertz < 1e10
    assert sample.memory_total_bytes is None or sample.memory_total_bytes > 1 << 30
    assert sample.temperature_celsius is None or 0 < sample.temperature_celsius < 120
    ratios = sample.utilization, sample.sm_active, sample.tensor_active, sample.dram_active
    assert all(ratio is None or 0 <= ratio <= 1 for ratio in ratios)


def test_only_known_signals_are_missing(eye: Eye) -> None:
    """Whatever the device lacks is listed by our words, and its power is told."""
    eye.look(2.0)
    missing = {entry.split(" ")[0] for entry in eye.source.state.unsupported}
    assert missing <= SIGNALS | ACTIVITY | {"xid_errors"}
    assert eye.samples[-1].power_watts is not None


def test_samples_come_in_the_order_of_their_times(eye: Eye) -> None:
    """Of each device, and at their pace as far as the machine lets them."""
    samples = eye.look(3.0)
    device = samples[-1].device
    times = [sample.at_ns for sample in samples if sample.device == device]
    assert times == sorted(set(times))
    assert len(times) > 10


def test_a_load_is_seen(eye: Eye) -> None:
    """Power and utilisation rise; the counter and the power tell about the same energy."""
    before = eye.look(3.0)
    samples, did = under_load(eye, "fma", 5.0)
    mine = [sample for sample in samples if sample.device.uuid == did["uuid"]]
    idle = [sample for sample in before if sample.device.uuid == did["uuid"]]
    assert mine, "CUDA's device is not among those that the driver shows"
    assert max(s.power_watts or 0 for s in mine) > max(s.power_watts or 0 for s in idle)
    if mine[-1].utilization is not None:
        assert mine[-1].utilization > 0.9
    counted, integrated = counted_joules(mine), integrated_joules(mine)
    if counted is not None and integrated is not None:
        assert integrated == pytest.approx(counted, rel=0.2)


def test_a_reader_that_is_killed_is_replaced(eye: Eye) -> None:
    """The next one opens the driver anew."""
    child = eye._child
    assert isinstance(child, subprocess.Popen)
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while eye._child is child or not eye.source.state.fresh:
        assert time.monotonic() < deadline, eye.source.state
        eye.look(0.2)
    assert eye.source.state.reason is Reason.GPUS_SEEN

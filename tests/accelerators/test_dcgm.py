"""dcgm-exporter's rows as devices and samples, in every layout of labels."""

from __future__ import annotations

import dataclasses
import runpy

import pytest
from exporter_answers import AT, FOLDER, answer, samples
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.dcgm import FP64_BLANK, INT32_BLANK, Dcgm
from sidelight_sidecar.observer.accelerators.exporter_rows import MAX_DEVICES, MEBIBYTE, MOST
from sidelight_sidecar.observer.accelerators.exporter_text import Row, Scrape
from sidelight_sidecar.observer.accelerators.source import Device, Sample

FIRST = "GPU-5ba1e000-0000-4000-8000-000000000001"
SECOND = "GPU-5ba1e000-0001-4000-8000-000000000002"
USUAL = Sample(
    device=Device(
        uuid=FIRST,
        index="0",
        model="NVIDIA H100 80GB HBM3",
        facts={
            "vendor": "NVIDIA",
            "driver_version": "580.95.05",
            "pci_bus_id": "00000000:1B:00.0",
        },
    ),
    at_ns=AT,
    utilization=0.93,
    tensor_active=0.31,
    dram_active=0.58,
    memory_used_bytes=76000 * MEBIBYTE,
    memory_reserved_bytes=1059 * MEBIBYTE,
    memory_total_bytes=81559 * MEBIBYTE,
    power_watts=512.345,
    energy_joules=123456789.012,
    temperature_celsius=61.0,
    memory_temperature_celsius=74.0,
    clock_hertz=1.755e9,
    memory_clock_hertz=2.619e9,
    row_remap_failed=False,
)


def dcgm(layout: str) -> list[Sample]:
    return samples(Dcgm(), answer(layout))


def of_rows(*rows: tuple[str, dict[str, str], float]) -> list[Sample]:
    return Dcgm().samples(Scrape(rows=[Row(*row) for row in rows]), AT)


def test_the_files_are_what_their_program_writes() -> None:
    """Nobody changed an answer by hand."""
    layouts = runpy.run_path(str(FOLDER / "make.py"))["LAYOUTS"]
    assert {path.stem for path in FOLDER.glob("*.prom")} == set(layouts)
    for name, make in layouts.items():
        assert answer(name).decode() == make(), name


@pytest.mark.parametrize("layout", [
    "dcgm-plain", "dcgm-lower-hostname", "dcgm-old-namespace", "dcgm-exported", "dcgm-pod-labels",
])  # fmt: skip
def test_every_spelling_of_labels_comes_to_the_same(layout: str) -> None:
    """Figures in SI units, the device with its facts, nothing of other pods."""
    assert dcgm(layout)[0] == USUAL


def test_a_pod_has_a_sample_for_each_of_its_devices() -> None:
    """In the order of their numbers; those of others and of nobody are not among them."""
    assert [s.device.uuid for s in dcgm("dcgm-plain")] == [FIRST, SECOND]
    assert [s.device.uuid for s in dcgm("dcgm-lower-hostname")] == [FIRST]
    assert dcgm("dcgm-no-pods") == []


def test_an_instance_has_its_own_activity_and_memory_and_shares_the_rest() -> None:
    """The whole device's power is on each instance, which says that it is shared."""
    one, two = dcgm("dcgm-mig")
    assert (one.device.uuid, one.device.parent) == (f"{FIRST}/7", FIRST)
    assert (one.device.instance, one.device.profile) == ("7", "1g.10gb")
    assert two.device.uuid == f"{FIRST}/8"
    assert one.device.shared
    assert two.device.shared
    assert one.memory_used_bytes == 8000 * MEBIBYTE
    assert one.energy_joules == 123456789.012


def test_the_utilisation_of_an_instance_is_its_engines_not_the_zero_that_is_reported() -> None:
    """DCGM does not know utilisation of an instance, and says 0."""
    assert [s.utilization for s in dcgm("dcgm-mig")] == [0.91, 0.91]
    labels = {"UUID": FIRST, "GPU_I_ID": "3"}
    rows = ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED")
    (sample,) = of_rows(*((name, labels, 0.0) for name in rows))
    assert sample.utilization is None


def test_an_instance_of_which_only_power_is_told_never_passes_for_the_whole_device() -> None:
    """Its joules would be counted as the pod's alone."""
    labels = {"UUID": FIRST, "gpu": "0", "GPU_I_ID": "3", "GPU_I_PROFILE": "1g.10gb"}
    (sample,) = of_rows(("DCGM_FI_DEV_POWER_USAGE", labels, 300.0))
    assert (sample.device.instance, sample.device.shared) == ("3", True)
    assert sample.power_watts == 300.0


@pytest.mark.parametrize("layout", ["dcgm-time-slicing", "dcgm-shared-without-vgpu"])
def test_a_device_that_other_pods_have_too_is_shared(layout: str) -> None:
    """Whether slices are numbered or another pod's rows name it; the pod's other device is not."""
    assert [s.device.shared for s in dcgm(layout)] == [True, False]


def test_a_slice_is_shared_although_no_other_pod_has_one_now() -> None:
    """Another can come at any time."""
    labels = {"UUID": FIRST, "vgpu": "1"}
    (sample,) = of_rows(("DCGM_FI_DEV_POWER_USAGE", labels, 300.0))
    assert sample.device.shared


def test_claimed_devices_have_the_identity_that_their_claim_tells() -> None:
    """An instance by the driver's own UUID of it."""
    gpu, instance = dcgm("dcgm-claims")
    assert (gpu.device.uuid, gpu.device.shared) == (FIRST, False)
    assert instance.device.uuid == "MIG-0f1e2d3c-0000-5000-8000-000000000001"
    assert (instance.device.parent, instance.device.profile) == (SECOND, "1g.10gb")


def test_links_are_added_up_on_their_device() -> None:
    """Their rows spell the device's labels in another way, and belong to the same device."""
    (sample,) = dcgm("dcgm-nvlink")
    assert sample.nvlink_bytes == {"tx": 3000, "rx": 1000}
    assert sample.device == USUAL.device


def test_a_devices_own_sum_of_links_is_not_added_to_its_links() -> None:
    """It would be counted twice."""
    name, labels = "DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES", {"UUID": FIRST}
    (sample,) = of_rows((name, {**labels, "nvlink": "0"}, 5.0), (name, labels, 9.0))
    assert sample.nvlink_bytes == {"tx": 9}


def test_blank_values_are_not_told() -> None:
    """Of each width and cause; utilisation then is that of the engine."""
    (sample,) = dcgm("dcgm-blanks")
    assert sample == dataclasses.replace(
        USUAL,
        utilization=0.91,
        tensor_active=None,
        dram_active=None,
        memory_total_bytes=None,
        power_watts=None,
        energy_joules=None,
        memory_temperature_celsius=None,
    )


@pytest.mark.parametrize("blank", [INT32_BLANK, FP64_BLANK, float(0x7FFFFFFFFFFFFFF0)])
@pytest.mark.parametrize("why", range(4))
def test_no_blank_is_a_counter(blank: float, why: int) -> None:
    """The energy of a device that does not count it would jump by years."""
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    assert of_rows((name, {"UUID": FIRST}, float(blank + why))) == []


def test_what_is_wrong_with_a_device_is_told() -> None:
    """Errors, failed repairs, and what holds the clocks down, now and in all."""
    (sample,) = dcgm("dcgm-unhealthy")
    assert sample.last_xid == 79
    assert sample.xid_errors == {79: 3, 48: 1}
    assert sample.ecc_errors == {"corrected": 12, "uncorrected": 1}
    assert sample.row_remap_failed is True
    assert sample.clock_events == {"sw_power_cap", "hw_thermal"}
    assert sample.throttled_seconds == {"sw_power_cap": 1.5, "sw_thermal": 0.25}
    assert (sample.power_limit_watts, sample.max_clock_hertz) == (700.0, 1.98e9)


def test_errors_within_a_window_tell_which_there_was_and_are_no_counter() -> None:
    """Their number falls again; taken as a counter each fall would be a restart."""
    name, labels = "DCGM_EXP_XID_ERRORS_COUNT", {"UUID": FIRST, "window_size_in_ms": "300000"}
    (sample,) = of_rows((name, {**labels, "xid": "48"}, 2.0), (name, {**labels, "xid": "0"}, 3.0))
    assert (sample.last_xid, sample.xid_errors) == (48, {})
    assert of_rows((name, {**labels, "xid": "48"}, 0.0)) == []


def test_finer_words_for_what_holds_the_clocks_come_before_coarser_ones() -> None:
    """The newer fields tell software's thermal limit from hardware's."""
    labels = {"UUID": FIRST}
    (sample,) = of_rows(
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS", labels, 1e9),
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", labels, 2e9),
        ("DCGM_FI_DEV_THERMAL_VIOLATION", labels, 9e9),
    )
    assert sample.throttled_seconds == {"sw_thermal": 1.0, "hw_thermal": 2.0}


def test_the_old_name_of_the_event_reasons_is_known() -> None:
    """DCGM 3 calls them throttle reasons."""
    name = "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"
    (sample,) = of_rows((name, {"UUID": FIRST}, float(0x1FF)))
    assert sample.clock_events == {
        "idle", "applications_clocks", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal",
        "hw_thermal", "hw_power_brake", "display_clock",
    }  # fmt: skip


def test_rows_of_two_containers_of_the_pod_are_one_device() -> None:
    """Sliced devices have a row for each container; their figures are not added up."""
    name = "DCGM_FI_DEV_POWER_USAGE"
    rows = [(name, {"UUID": FIRST, "container": word}, 300.0) for word in ("vllm", "sidelight")]
    assert [s.power_watts for s in of_rows(*rows)] == [300.0]


def test_rows_of_no_device_are_left_out() -> None:
    """Switches and processors have rows, too."""
    assert of_rows(("DCGM_FI_DEV_NVSWITCH_THROUGHPUT_TX", {"nvswitch": "0"}, 1.0)) == []


def test_devices_are_bounded() -> None:
    """A hostile exporter invents them."""
    name = "DCGM_FI_DEV_POWER_USAGE"
    rows = [(name, {"UUID": f"GPU-{n}", "gpu": str(n)}, 1.0) for n in range(MAX_DEVICES + 9)]
    assert len(of_rows(*rows)) == MAX_DEVICES


NAMES = sorted({
    line.split(b"{")[0].decode()
    for path in FOLDER.glob("dcgm-*.prom")
    for line in path.read_bytes().splitlines()
    if not line.startswith(b"#")
})  # fmt: skip
LABELS = st.fixed_dictionaries(
    {"UUID": st.sampled_from([FIRST, SECOND, "x" * 500, ""])},
    optional={
        name: st.sampled_from(["0", "7", "99999999", "-1", "", "²", "x" * 500])
        for name in ("GPU_I_ID", "gpu", "xid", "vgpu", "nvlink", "modelName", "GPU_I_PROFILE")
    },
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), LABELS, st.floats(allow_nan=False)), max_size=40))
def test_no_rows_raise_and_every_figure_is_one_that_can_be(
    rows: list[tuple[str, dict[str, str], float]],
) -> None:
    """Ratios are ratios, whole numbers fit, words are short, and no two devices are the same."""
    found = of_rows(*rows)
    assert len({s.device.uuid for s in found}) == len(found)
    for sample in found:
        assert len(sample.device.model) <= 128
        for name in ("utilization", "sm_active", "tensor_active", "dram_active"):
            assert 0 <= (getattr(sample, name) or 0) <= 1
        for name in ("memory_used_bytes", "memory_reserved_bytes", "energy_joules", "power_watts"):
            assert 0 <= (getattr(sample, name) or 0) < MOST
        for counts in (sample.ecc_errors, sample.nvlink_bytes, sample.xid_errors):
            assert all(0 <= count < MOST for count in counts.values())

"""AMD's exporter: its rows as devices and samples."""

from __future__ import annotations

import pytest
from exporter_answers import AT, answer, samples
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.accelerators.amd import Amd
from sidelight_sidecar.observer.accelerators.exporter_rows import MEBIBYTE, MOST
from sidelight_sidecar.observer.accelerators.exporter_text import Row, Scrape
from sidelight_sidecar.observer.accelerators.source import Device, Sample

MI300X = "AMD Instinct MI300X"
ONE = {"serial_number": "69", "gpu_id": "3", "gpu_compute_partition_type": "spx"}


def of_rows(*rows: tuple[str, dict[str, str], float]) -> list[Sample]:
    return Amd().samples(Scrape(rows=[Row(*row) for row in rows]), AT)


def test_a_device_is_told_in_si_units() -> None:
    """Microjoules, MiB, MHz of each die, KB of links, percent."""
    (sample,) = samples(Amd(), answer("amd"))
    assert sample == Sample(
        device=Device("692258000000", "0", MI300X, facts={"vendor": "AMD"}),
        at_ns=AT,
        utilization=0.97,
        tensor_active=0.415,
        dram_active=0.44,
        memory_used_bytes=183265 * MEBIBYTE,
        memory_total_bytes=196592 * MEBIBYTE,
        power_watts=748.0,
        energy_joules=14000000.000123,
        temperature_celsius=76.0,
        memory_temperature_celsius=61.0,
        clock_hertz=1.5e9,
        memory_clock_hertz=1.292e9,
        clock_events=frozenset({"sw_power_cap"}),
        ecc_errors={"corrected": 3, "uncorrected": 0},
        nvlink_bytes={"rx": (7027 + 2776148269) * 1024},
    )


def test_partitions_are_devices_that_share_what_only_the_first_tells() -> None:
    """Zeros of the others are no figures; a prefix of the names does not matter."""
    first, second = samples(Amd(), answer("amd-partitioned"))
    assert first.device == Device(
        "692258000000/0", "0", MI300X, True, "692258000000", "0", "cpx", {"vendor": "AMD"}
    )
    assert (second.device.uuid, second.device.index) == ("692258000000/1", "1")
    assert second.device.shared
    assert (first.power_watts, second.power_watts) == (748.0, 748.0)
    assert second.utilization == 0.97


def test_a_partition_without_the_first_one_has_no_sensors() -> None:
    """The pod was given the second alone: what the card takes is not known, and not zero."""
    labels = {**ONE, "gpu_compute_partition_type": "cpx", "gpu_partition_id": "1"}
    (sample,) = of_rows(("gpu_package_power", labels, 0.0), ("gpu_used_vram", labels, 5.0))
    assert (sample.power_watts, sample.memory_used_bytes) == (None, 5 * MEBIBYTE)
    assert sample.device.shared


@pytest.mark.parametrize(("labels", "uuid"), [
    ({"gpu_uuid": "a", "serial_number": "b", "gpu_id": "0"}, "a"),
    ({"gpu_uuid": "", "serial_number": "b", "gpu_id": "0"}, "b"),
    ({"serial_number": "", "gpu_id": "0", "gpu_partition_id": "NA",
      "gpu_compute_partition_type": "none"}, "0"),
])  # fmt: skip
def test_a_device_is_told_from_others_by_the_best_that_is_there(
    labels: dict[str, str], uuid: str
) -> None:
    """Its UUID if configured, else its serial number, else its number on the node."""
    (sample,) = of_rows(("gpu_package_power", labels, 100.0))
    assert sample.device.uuid == uuid


def test_the_power_of_either_generation_is_found() -> None:
    """MI200 has the average, newer ones the socket's, all the general one."""
    general, average, socket = "gpu_power_usage", "gpu_average_package_power", "gpu_package_power"
    for names, watts in (
        ((general,), 1.0), ((average, general), 2.0), ((socket, general, average), 3.0),
    ):  # fmt: skip
        told = {general: 1.0, average: 2.0, socket: 3.0}
        (sample,) = of_rows(*((name, ONE, told[name]) for name in names))
        assert sample.power_watts == watts


def test_a_power_of_zero_gives_way_to_one_that_is_known() -> None:
    """Of a card that has no average the exporter may say 0."""
    (sample,) = of_rows(("gpu_power_usage", ONE, 90.0), ("gpu_package_power", ONE, 0.0))
    assert sample.power_watts == 90.0


def test_a_virtual_machines_counter_that_stays_zero_is_none() -> None:
    """A guest is not told of energy."""
    (sample,) = of_rows(("gpu_energy_consumed", ONE, 0.0), ("gpu_package_power", ONE, 90.0))
    assert sample.energy_joules is None


@pytest.mark.parametrize("blank", [65535.0, 4294967295.0, 18446744073709551615.0])
def test_values_of_all_ones_are_not_told(blank: float) -> None:
    """They say that there is none, of each width."""
    clock = {**ONE, "clock_type": "GPU_CLOCK_TYPE_SYSTEM", "clock_index": "0"}
    assert of_rows(("gpu_clock", clock, blank), ("gpu_package_power", ONE, blank)) == []


def test_two_hundred_and_fifty_five_watts_are_told() -> None:
    """All ones of a byte is a real figure."""
    (sample,) = of_rows(("gpu_package_power", ONE, 255.0))
    assert sample.power_watts == 255.0


def test_the_old_spelling_of_clocks_is_known() -> None:
    """With the prefix of the enumeration, in capitals."""
    clock = {**ONE, "clock_type": "GPU_CLOCK_TYPE_SYSTEM", "clock_index": "0"}
    (sample,) = of_rows(("gpu_clock", clock, 900.0), ("gpu_max_clock", clock, 2100.0))
    assert (sample.clock_hertz, sample.max_clock_hertz) == (9e8, 2.1e9)


NAMES = sorted({
    line.split(b"{")[0].decode()
    for layout in ("amd", "amd-partitioned")
    for line in answer(layout).splitlines()
    if not line.startswith(b"#")
})  # fmt: skip
LABELS = st.fixed_dictionaries(
    {"gpu_id": st.sampled_from(["0", "1", "x"])},
    optional={
        name: st.sampled_from(["0", "1", "cpx", "spx", "", "²", "system", "x" * 500])
        for name in ("serial_number", "gpu_partition_id", "gpu_compute_partition_type", "gpu_uuid",
                     "clock_type", "clock_index", "link_index", "card_model")
    },
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), LABELS, st.floats(allow_nan=False)), max_size=40))
def test_no_rows_raise_and_every_figure_is_one_that_can_be(
    rows: list[tuple[str, dict[str, str], float]],
) -> None:
    """Ratios are ratios, whole numbers fit."""
    for sample in of_rows(*rows):
        for name in ("utilization", "sm_active", "tensor_active", "dram_active"):
            assert 0 <= (getattr(sample, name) or 0) <= 1
        for counts in (sample.ecc_errors, sample.nvlink_bytes):
            assert all(0 <= count < MOST for count in counts.values())
        assert 0 <= (sample.memory_used_bytes or 0) < MOST

"""What the driver tells, through NVIDIA's own bindings, in our units."""

import pytest
from mock_nvml import CARD, Driver, told, uuid

FULL_FAST = {
    "power_watts": 512.345,
    "utilization": 0.87,
    "clock_hertz": 1_755_000_000,
    "memory_clock_hertz": 2_619_000_000,
    "clock_events": ["sw_power_cap", "sw_thermal"],
}
FULL_SLOW = {
    "memory_used_bytes": 71_000_000_000,
    "memory_reserved_bytes": 551_550_976,
    "memory_total_bytes": 85_899_345_920,
    "temperature_celsius": 61,
    "memory_temperature_celsius": 74,
    "power_limit_watts": 700.0,
    "max_clock_hertz": 1_980_000_000,
    "throttled_seconds": {
        "sw_power_cap": 1.5,
        "sync_boost": 0.0,
        "sw_thermal": 0.25,
        "hw_thermal": 0.0,
        "hw_power_brake": 0.0,
    },
    "ecc_errors": {"corrected": 2, "uncorrected": 1},
    "row_remap_failed": False,
    "nvlink_bytes": {"tx": 1_024_000, "rx": 2_048_000},
    "pcie_bytes": {"tx": 123_456, "rx": 654_321},
    "sm_active": 0.615,
    "tensor_active": 0.225,
    "dram_active": 0.7,
}


def test_every_signal_is_told_in_our_unit(node: Driver) -> None:
    """Milliwatts, MHz, percent, nanoseconds and KiB become watts, hertz, ratios, seconds, bytes."""
    one = told(node)
    energy = one.fast[0].pop("energy_joules")
    assert one.fast[0] == FULL_FAST
    assert one.slow[0] == FULL_SLOW
    assert energy > 123_456.789  # its counter grows


def test_who_the_device_is(node: Driver) -> None:
    """UUID, number, model, bus and the driver's versions come with the first line."""
    node.say(driver_version="580.95.05", cuda_version=13_000)
    one = told(node)
    assert (one.hello["driver_version"], one.hello["cuda_version"]) == ("580.95.05", "13.0")
    assert one.hello["devices"] == [
        {
            "uuid": uuid(0),
            "index": "0",
            "model": "NVIDIA H100 80GB HBM3",
            "pci_bus_id": "00000000:1B:00.0",
            "parent": "",
            "instance": "",
            "profile": "",
        }
    ]


def test_several_cards_each_tell_their_own(node: Driver) -> None:
    """A row says which device it is of."""
    cards = {str(n): {"values": {"power_mw": 100_000 * n, "memory_used": n}} for n in range(4)}
    node.say(count=4, cards=cards)
    one = told(node)
    assert [device["uuid"] for device in one.hello["devices"]] == [uuid(n) for n in range(4)]
    assert [one.fast[n]["power_watts"] for n in range(4)] == [0.0, 100.0, 200.0, 300.0]
    assert [one.slow[n]["memory_used_bytes"] for n in range(4)] == [0, 1, 2, 3]


def test_only_the_devices_that_are_named_are_read(node: Driver) -> None:
    """The others of the node are another pod's; one that is not there is said."""
    node.say(count=4, cards={"2": {"values": {"power_mw": 42_000}}})
    one = told(node, "--visible-all", "--uuid", uuid(2).lower(), "--uuid", "GPU-no")
    assert [device["uuid"] for device in one.hello["devices"]] == [uuid(2)]
    assert one.hello["missing"] == ["GPU-no"]
    assert list(one.fast) == [0]
    assert one.fast[0]["power_watts"] == 42.0


def test_the_only_device_of_a_node_is_the_pods(node: Driver) -> None:
    """Whoever sees all of a node that has one sees the one that the pod has."""
    one = told(node, "--visible-all")
    assert [device["uuid"] for device in one.hello["devices"]] == [uuid(0)]


def test_instances_stand_for_a_partitioned_card(node: Driver) -> None:
    """Memory and activity are the instance's; power, clocks and energy are its parent's."""
    mig = [
        {"uuid": "MIG-a", "gi": 1, "profile": 2, "memory_used": 9, "memory_total": 10, "gpm.2": 50},
        {"uuid": "MIG-b", "gi": 7, "profile": 0, "memory_used": 5, "memory_total": 6, "gpm.5": 25},
    ]
    node.say(count=2, cards={"1": {"values": {"mig_mode": 1}, "mig": mig}})
    one = told(node)
    assert [
        tuple(device[name] for name in ("uuid", "index", "parent", "instance", "profile"))
        for device in one.hello["devices"]
    ] == [
        (uuid(0), "0", "", "", ""),
        ("MIG-a", "1", uuid(1), "1", "3g.40gb"),
        ("MIG-b", "1", uuid(1), "7", "1g.10gb"),
    ]
    assert "utilization" in one.fast[0]
    assert "utilization" not in one.fast[1]  # a partitioned card has none
    assert one.fast[1]["power_watts"] == 512.345
    assert (one.slow[1]["memory_used_bytes"], one.slow[2]["memory_used_bytes"]) == (9, 5)
    assert (one.slow[1]["sm_active"], one.slow[2]["tensor_active"]) == (0.5, 0.25)


def test_an_instance_is_read_by_its_own_uuid_or_its_parents(node: Driver) -> None:
    """A claim names the one or the other."""
    mig = [{"uuid": f"MIG-{n}", "gi": n, "profile": 0, "memory_total": 6} for n in (1, 2)]
    node.say(count=2, cards={"1": {"values": {"mig_mode": 1}, "mig": mig}})
    of_one = told(node, "--uuid", "MIG-2")
    of_parent = told(node, "--uuid", uuid(1))
    assert [device["uuid"] for device in of_one.hello["devices"]] == ["MIG-2"]
    assert [device["uuid"] for device in of_parent.hello["devices"]] == ["MIG-1", "MIG-2"]


def test_activity_of_an_instance_by_an_older_driver(node: Driver) -> None:
    """Where the instance's handle is not taken, its number with its parent's handle is."""
    mig = [{"uuid": "MIG-a", "gi": 5, "profile": 0, "gpm.2": 40, "memory_total": 6}]
    fail = {"nvmlGpmSampleGet": 2}
    node.say(cards={"0": {"values": {"mig_mode": 1}, "mig": mig}}, fail=fail)
    one = told(node)
    assert one.slow[0]["sm_active"] == 0.4


@pytest.mark.parametrize("code", [3, 13, 25])
def test_an_older_drivers_memory_has_no_reserved_part(node: Driver, code: int) -> None:
    """The first version counts what is reserved as used; it is asked for want of the other."""
    node.say(fail={"nvmlDeviceGetMemoryInfo_v2": code})
    one = told(node)
    assert one.slow[0]["memory_used_bytes"] == CARD["memory_used"] + CARD["memory_reserved"]
    assert "memory_reserved_bytes" not in one.slow[0]


def test_links_are_added_up_where_each_counts_its_bytes(node: Driver) -> None:
    """As from NVLink 5 on; links that are not there count nothing."""
    values = {key: value for key, value in CARD.items() if key not in ("field.138", "field.139")}
    links = {"field.202": 5, "field.202.1": 10, "field.202.17": 20, "field.204.3": 7}
    node.say(all=values | links)
    one = told(node)
    assert one.slow[0]["nvlink_bytes"] == {"tx": 35, "rx": 7}


def test_a_number_that_means_not_available_is_not_told(node: Driver) -> None:
    """The library has no other word for it."""
    gone = 0xFFFFFFFF
    fields = {"power_mw": gone, "sm_clock": gone, "field.197": 0xFFFFFFFFFFFFFFFF}
    node.say(all=CARD | {**fields, "memory_used": gone})
    one = told(node)
    assert "power_watts" not in one.fast[0]
    assert "clock_hertz" not in one.fast[0]
    assert "memory_used_bytes" not in one.slow[0]
    assert one.slow[0]["memory_total_bytes"] == CARD["memory_total"]


def test_a_reason_of_tomorrow_keeps_its_number(node: Driver) -> None:
    """A bit that has no word yet is no bit that is not there."""
    node.say(all=CARD | {"event_reasons": 0x200 | 0x1})
    one = told(node)
    assert one.fast[0]["clock_events"] == ["idle", "bit_9"]

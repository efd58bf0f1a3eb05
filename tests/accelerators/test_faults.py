"""What counts as a fault of a device, and what was there before."""

from __future__ import annotations

from devices import FRESH, ONE, SECOND, SLOW, STALE, TWO, sample

from sidelight_contract.gpu import MAX_FAULTS, Fault
from sidelight_sidecar.observer.accelerators.faults import MAX_KEPT, Faults, name_of
from sidelight_sidecar.observer.accelerators.source import Device, Sample

START = 1_700_000_000


def told(*samples: Sample) -> list[tuple[str, int, int]]:
    """Kind, code and count of what came of them."""
    faults = Faults(START * SECOND)
    for one in samples:
        faults.add(one)
    return [(fault.kind, fault.code, fault.count) for fault in faults.told({}, 0)]


def test_growth_of_a_counter_is_a_fault_and_its_first_value_is_none() -> None:
    """What was counted before this sidecar is not its to tell."""
    assert told(sample(0, xid_errors={31: 4}, ecc_errors={"uncorrected": 7})) == []
    found = told(
        sample(0, xid_errors={31: 4}, ecc_errors={"uncorrected": 7, "corrected": 1}),
        sample(1, xid_errors={31: 6, 79: 1}, ecc_errors={"uncorrected": 8, "corrected": 9}),
    )
    assert set(found) == {("xid", 31, 2), ("xid", 79, 1), ("ecc_uncorrected", 0, 1)}


def test_a_counter_that_begins_anew_counts_from_zero() -> None:
    """The driver was loaded again: what it has now has happened since."""
    found = told(
        sample(0, xid_errors={31: 4}, ecc_errors={"uncorrected": 7}),
        sample(1, xid_errors={31: 1}, ecc_errors={"uncorrected": 0}),
        sample(2, xid_errors={31: 1}, ecc_errors={"uncorrected": 2}),
        sample(3, xid_errors={31: 1}),
        sample(4, xid_errors={31: 1}, ecc_errors={"uncorrected": 9}),
    )
    assert set(found) == {("xid", 31, 1), ("ecc_uncorrected", 0, 9)}


def test_a_sample_of_an_error_alone_hides_no_other_growth() -> None:
    """A driver that has just lost a device tells of that, and of nothing else."""
    found = told(
        sample(0, ecc_errors={"uncorrected": 1}),
        sample(1, xid_errors={79: 1}),
        sample(2, ecc_errors={"uncorrected": 3}),
    )
    assert set(found) == {("xid", 79, 1), ("ecc_uncorrected", 0, 2)}


def test_a_last_xid_that_was_there_is_none_and_another_is_one() -> None:
    """How often it came nobody knows: 0. With a counter the counter counts."""
    assert told(sample(0, last_xid=31), sample(1, last_xid=31)) == []
    found = told(sample(0, last_xid=31), sample(1, last_xid=0), sample(2, last_xid=48))
    assert found == [("xid", 48, 0)]
    both = told(sample(0, last_xid=0), sample(1, last_xid=48, xid_errors={48: 3}))
    assert both == [("xid", 48, 3)]


def test_a_failed_remapping_is_told_from_the_first_look_on() -> None:
    """It is a state of the device, not an event: after a reset it may be over."""
    failed = sample(0, row_remap_failed=True)
    assert told(failed) == told(failed, sample(1)) == [("row_remap_failed", 0, 0)]
    assert told(failed, sample(1, row_remap_failed=False)) == []


def test_a_fault_names_the_device_and_its_newest_time() -> None:
    """The same again is counted, not told twice."""
    faults = Faults(START * SECOND)
    for second in range(3):
        faults.add(sample(second, TWO, xid_errors={79: second}))
    assert faults.told({}, 0) == [Fault("xid", "1 (GPU-5ba1e000)", 79, 2, START + 2)]
    assert name_of(TWO) == "1 (GPU-5ba1e000)"


def test_heat_is_a_fault_while_it_held_a_tenth_of_the_window() -> None:
    """And no longer."""
    faults = Faults(START * SECOND)
    (hot,) = faults.told({"0 (a)": 0.2, "1 (b)": 0.05}, 9 * SECOND)
    assert hot == Fault("thermal", "0 (a)", 0, 0, START + 9)
    assert faults.told({"0 (a)": 0.0}, 10 * SECOND) == []


def test_a_device_that_is_gone_while_others_are_told_of_is_lost() -> None:
    """While it is; an exporter that is slow gets three of its periods."""
    faults = Faults(0)
    faults.add(sample(0))
    for second in range(0, 70, 5):
        faults.add(sample(second, TWO))
        faults.look(SLOW, second * SECOND)
        lost = [fault.device for fault in faults.told({}, 0)]
        assert lost == ([name_of(ONE)] if second > 60 else [])
    (fault,) = faults.told({}, 0)
    assert (fault.kind, fault.count, fault.at) == ("lost", 1, 0.0)
    faults.add(sample(70))
    faults.look(SLOW, 70 * SECOND)
    assert faults.told({}, 0) == []


def test_all_devices_of_a_driver_that_does_not_answer_are_lost() -> None:
    """Of an exporter that does not, nothing is said of devices."""
    faults = Faults(0)
    faults.add(sample(0))
    faults.look(STALE, 30 * SECOND)
    assert faults.told({}, 0) == []
    faults.look(STALE, 61 * SECOND)
    assert [fault.kind for fault in faults.told({}, 0)] == ["lost"]
    exporter = Faults(0)
    exporter.add(sample(0))
    silent = SLOW.__class__(SLOW.source, fresh=False, reason=STALE.reason)
    exporter.look(silent, 3600 * SECOND)
    assert exporter.told({}, 0) == []


def test_another_sources_counters_are_not_held_against_the_last_ones() -> None:
    """A counter that is higher there is no fault."""
    faults = Faults(0)
    faults.add(sample(0, xid_errors={31: 1}))
    faults.forget_devices()
    faults.add(sample(1, xid_errors={31: 5}))
    assert faults.told({}, 0) == []


def test_what_is_told_and_kept_is_bounded() -> None:
    """The newest stay."""
    faults = Faults(0)
    device = Device("GPU-x", "0")
    for code in range(1, 2 * MAX_KEPT):
        faults.add(sample(code, device, xid_errors={code: 0}))
        faults.add(sample(code + 0.5, device, xid_errors={code: 1}))
    found = faults.told({}, 0)
    assert [fault.code for fault in found] == list(range(2 * MAX_KEPT - 1, 0, -1))[:MAX_FAULTS]
    assert len(faults._found) == MAX_KEPT
    faults.look(FRESH, 0)

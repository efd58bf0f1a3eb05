"""The observer's end of the pipe: whatever bytes come, samples come out, or nothing does."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.nvml.words import MAX_LINE_BYTES, Outcome
from sidelight_sidecar.observer.accelerators.nvml_lines import (
    KEEP_NS,
    MAX_WORDS,
    SLOW_PERIODS,
    NvmlLines,
)

SECOND = 1_000_000_000
HELLO: dict[str, Any] = {
    "kind": "hello",
    "devices": [
        {"uuid": "GPU-0", "index": "0", "model": "H100", "pci_bus_id": "1B"},
        {"uuid": "MIG-1", "index": "1", "parent": "GPU-1", "instance": "3", "profile": "1g.10gb"},
    ],
    "driver_version": "580.1",
    "cuda_version": "13.0",
    "period_seconds": 0.1,
    "slow_seconds": 1.0,
}


def line(kind: str, **rest: Any) -> bytes:
    """A line of the process's."""
    return json.dumps({"kind": kind, **rest}).encode() + b"\n"


def fast(*rows: tuple[int, int, dict[str, Any]]) -> bytes:
    """A batch of fast rows."""
    return line("samples", fast=rows, slow=[])


def greeted() -> NvmlLines:
    """After hello."""
    lines = NvmlLines()
    lines.feed(json.dumps(HELLO).encode() + b"\n")
    return lines


def test_a_device_is_who_hello_says() -> None:
    """An instance's figures are partly its parent's, so it counts as shared."""
    lines = greeted()
    lines.feed(fast((0, 1, {}), (1, 2, {})))
    whole, instance = (sample.device for sample in lines.take())
    assert (whole.uuid, whole.model, whole.shared) == ("GPU-0", "H100", False)
    assert whole.facts == {
        "driver_version": "580.1",
        "cuda_version": "13.0",
        "pci_bus_id": "1B",
        "vendor": "nvidia",
    }
    assert (instance.parent, instance.instance, instance.profile) == ("GPU-1", "3", "1g.10gb")
    assert instance.shared


def test_a_sample_has_what_was_told_slowly_before() -> None:
    """Memory is as it was a second ago, until it is told anew."""
    lines = greeted()
    lines.feed(line("samples", slow=[(0, 0, {"memory_used_bytes": 7})], fast=[(0, 1, {})]))
    lines.feed(fast((0, 2, {"power_watts": 3.5}), (1, 3, {})))
    first, second, other = lines.take()
    assert (first.memory_used_bytes, first.power_watts) == (7, None)
    assert (second.memory_used_bytes, second.power_watts) == (7, 3.5)
    assert other.memory_used_bytes is None


def test_slow_values_that_are_not_renewed_hold_no_longer() -> None:
    """A device may hang in its slow queries alone."""
    lines = greeted()
    late = SLOW_PERIODS * SECOND
    slow = [(0, 0, {"sm_active": 0.5})]
    lines.feed(line("samples", slow=slow, fast=[(0, late, {}), (0, late + 1, {})]))
    assert [sample.sm_active for sample in lines.take()] == [0.5, None]


def test_a_row_that_is_not_newer_is_left_out() -> None:
    """Times of a device only grow, so that differences can be taken."""
    lines = greeted()
    lines.feed(fast((0, 5, {}), (0, 5, {}), (0, 4, {}), (0, 6, {})))
    assert [sample.at_ns for sample in lines.take()] == [5, 6]


def test_only_some_seconds_are_kept() -> None:
    """Whoever comes late gets the newest."""
    lines = greeted()
    for tenth in range(100):
        lines.feed(fast((0, tenth * SECOND // 10, {})))
    taken = [sample.at_ns for sample in lines.take()]
    assert taken[-1] - taken[0] == KEEP_NS
    assert lines.take() == []


def test_errors_are_counted_over_processes() -> None:
    """A counter goes on where the process is another one."""
    lines = greeted()
    lines.feed(line("xid", device=0, xid=79) + line("xid", device=0, xid=13))
    lines.feed(fast((0, 1, {}), (1, 1, {})))
    lines.begin()
    lines.feed(json.dumps(HELLO).encode() + b"\n" + line("xid", device=0, xid=79))
    lines.feed(fast((0, 2, {})))
    assert [dict(sample.xid_errors) for sample in lines.take()] == [
        {79: 1, 13: 1},
        {},
        {79: 2, 13: 1},
    ]


def test_the_error_that_a_device_is_lost_with_is_told() -> None:
    """No row of it comes any more; whichever of the two lines comes first."""
    for news in (("lost", "xid"), ("xid", "lost")):
        lines = greeted()
        lines.feed(fast((0, 5, {"power_watts": 1.0})))
        for kind in news:
            lines.feed(line(kind, device=0, xid=79, text="GPU is lost"))
        before, after = lines.take()
        assert (after.at_ns, after.xid_errors, after.power_watts) == (5, {79: 1}, None)
        assert before.power_watts == 1.0
        assert lines.lost == {"0 (GPU-0)": "GPU is lost"}


def test_an_error_beside_rows_waits_for_the_next_one() -> None:
    """A sample of its own would be a gap in all else."""
    lines = greeted()
    lines.feed(fast((0, 5, {})) + line("xid", device=0, xid=48))
    assert [sample.xid_errors for sample in lines.take()] == [{}]
    lines.feed(fast((0, 6, {"power_watts": 2.0})))
    (sample,) = lines.take()
    assert (sample.xid_errors, sample.power_watts) == ({48: 1}, 2.0)


def test_what_is_not_supported_is_kept_bounded() -> None:
    """Each signal once, over all processes."""
    lines = greeted()
    for n in range(3 * MAX_WORDS):
        lines.feed(line("unsupported", signals={f"s{n:03}": "Not Supported", "a": "No"}))
    assert len(lines.unsupported) == MAX_WORDS
    assert lines.unsupported["a"] == "No"


def test_the_end_is_known() -> None:
    """With the driver's code."""
    lines = greeted()
    lines.feed(line("end", outcome="version_mismatch", code=18, text="mismatch"))
    assert lines.end is not None
    assert (lines.end.outcome, lines.end.code) == (Outcome.VERSION_MISMATCH, 18)


def test_a_line_without_end_takes_no_memory() -> None:
    """It is one malformed line, and the next one is read."""
    lines = greeted()
    for _ in range(20):
        lines.feed(b"x" * (MAX_LINE_BYTES // 4))
        assert len(lines._rest) <= MAX_LINE_BYTES
    lines.feed(b"\n" + fast((0, 1, {})))
    assert lines.malformed == 1
    assert len(lines.take()) == 1


def test_lines_that_are_not_understood_are_counted() -> None:
    """No line of them ends the reading."""
    lines = greeted()
    bad = [
        b"no json\n",
        b"[]\n",
        b'{"kind":"tomorrow"}\n',
        b'{"kind":"samples","fast":[[0,"then",{}]]}\n',
        b'{"kind":"samples","fast":[[0,1,{"power_watts":"much"}]]}\n',
        b'{"kind":"samples","fast":[[0,1,{"power_watts":NaN}]]}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ]
    lines.feed(b"".join(bad) + fast((7, 1, {}), (-1, 1, {}), (0, 1, {"of_tomorrow": 1})))
    assert lines.malformed == len(bad) + 2
    assert len(lines.take()) == 1


rows = st.tuples(
    st.integers(-1, 3),
    st.integers(0, 2**62),
    st.fixed_dictionaries({}, optional={"power_watts": st.floats(0, 1e4)}),
)
whole_lines = st.one_of(
    st.lists(rows, max_size=5).map(lambda some: line("samples", fast=some, slow=some)),
    st.builds(lambda d, x: line("xid", device=d, xid=x), st.integers(-1, 3), st.integers(0, 999)),
    st.builds(lambda d: line("lost", device=d, text="GPU is lost"), st.integers(-1, 3)),
    st.just(json.dumps(HELLO).encode() + b"\n"),
    st.binary(max_size=40).map(lambda some: some.replace(b"\n", b"") + b"\n"),
)


@given(st.lists(whole_lines, max_size=20), st.lists(st.integers(0, 4000), max_size=30))
def test_how_the_bytes_are_cut_makes_no_difference(some: list[bytes], cuts: list[int]) -> None:
    """Any pieces give the samples that the whole gives."""
    data = b"".join(some)
    whole, pieces = NvmlLines(), NvmlLines()
    whole.feed(data)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for begin, end in pairwise(places):
        pieces.feed(data[begin:end])
    assert pieces.take() == whole.take()
    assert (pieces.malformed, pieces.lost) == (whole.malformed, whole.lost)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    """Nothing that comes raises."""
    lines = greeted()
    for piece in pieces:
        lines.feed(piece)
    times = [sample.at_ns for sample in lines.take()]
    assert times == sorted(times)

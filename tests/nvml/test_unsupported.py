"""What a device does not support is asked once, told once, and takes nothing else with it."""

from typing import Any

import pytest
from mock_nvml import CARD, Driver, Told, told

from sidelight_sidecar.nvml.gpm import METRICS
from sidelight_sidecar.nvml.queries import QUERIES, Call, Fields, Query

LINKS = {f"field.{number}.{link}": 1 for number in (202, 204) for link in range(1, 3)}
EVERYTHING = CARD | {"field.75": 250_000_000} | LINKS
SIGNALS = {signal for query in QUERIES for signal in query.signals} | set(METRICS)
MISSING_WORDS = {
    2: "Invalid Argument",
    3: "Not Supported",
    4: "Insufficient Permissions",
    6: "Not Found",
    13: "Function Not Found",
    17: "The operating system has blocked the request.",
}


@pytest.fixture(autouse=True)
def every_way(node: Driver) -> None:
    """The card tells everything in every way there is."""
    node.say(all=EVERYTHING)


def faults(way: Call | Fields, code: int = 3) -> dict[str, int]:
    """What in the file makes a way fail."""
    if isinstance(way, Fields):
        return {f"field:{number}": code for number, _ in way.wanted}
    return {way.name: code}


def untold_with(failing: dict[str, int]) -> set[str]:
    """The signals of which every way fails."""
    return {
        signal
        for query in QUERIES
        if all(faults(way).keys() <= failing.keys() for way in query.ways)
        for signal in query.signals
    }


def flat(values: dict[str, Any]) -> set[str]:
    """The signals of a row."""
    return {
        f"{name}.{entry}" if isinstance(value, dict) else name
        for name, value in values.items()
        for entry in (value if isinstance(value, dict) else [""])
    }


def signals_of(one: Told) -> set[str]:
    """All that the first device told."""
    return flat(one.fast[0]) | flat(one.slow[0])


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: "+".join(query.signals))
def test_a_query_that_is_not_supported_is_left_out_and_told_once(
    node: Driver, query: Query
) -> None:
    """Each of the table, one by one; everything else is still told."""
    failing = {key: 3 for way in query.ways for key in faults(way)}
    node.say(fail=failing)
    one = told(node)
    untold = untold_with(failing)
    assert untold >= set(query.signals)
    assert signals_of(one) == SIGNALS - untold
    assert one.unsupported == [dict.fromkeys(untold, "Not Supported")]


@pytest.mark.parametrize(
    ("query", "way"),
    [(query, n) for query in QUERIES for n in range(1, len(query.ways))],
    ids=lambda part: "+".join(part.signals) if isinstance(part, Query) else str(part),
)
def test_the_next_way_is_taken(node: Driver, query: Query, way: int) -> None:
    """Where the better call is not there, an older one tells the same."""
    node.say(fail={key: 3 for one in query.ways[:way] for key in faults(one)})
    one = told(node)
    missing = {"memory_reserved_bytes"} & set(query.signals)
    assert signals_of(one) == SIGNALS - missing


@pytest.mark.parametrize(("code", "word"), MISSING_WORDS.items(), ids=str)
def test_the_drivers_word_is_told(node: Driver, code: int, word: str) -> None:
    """Whether it is a matter of the device, of permission, or of the driver's age."""
    node.say(fail={"nvmlDeviceGetUtilizationRates": code})
    assert told(node).unsupported == [{"utilization": word}]


@pytest.mark.parametrize("code", [10, 20, 21, 27, 999])
def test_an_error_of_the_moment_leaves_a_query_in(node: Driver, code: int) -> None:
    """It is asked again, and tells when it can."""
    node.say(fail={"nvmlDeviceGetUtilizationRates": code})
    lines = node.lines()
    for line in lines:
        assert line["kind"] != "unsupported"
        rows = [values for _, _, values in line.get("fast", ())]
        if rows and "utilization" in rows[-1]:
            break
        if rows and node.state["fail"]:
            assert "power_watts" in rows[-1]
            node.say(fail={})
    lines.close()


@pytest.mark.parametrize("signal", METRICS)
def test_one_activity_metric_that_is_not_supported(node: Driver, signal: str) -> None:
    """The others of the same call are told."""
    node.say(fail={f"gpm:{METRICS[signal]}": 3})
    one = told(node)
    assert one.unsupported == [{signal: "Not Supported"}]
    assert set(METRICS) - one.slow[0].keys() == {signal}


@pytest.mark.parametrize(
    ("card", "fail"), [("a100", {}), ("h100", {"nvmlGpmQueryDeviceSupport": 4})]
)
def test_a_device_without_activity_metrics(node: Driver, card: str, fail: dict[str, int]) -> None:
    """Before Hopper there are none, and sometimes they are not permitted."""
    node.say(card=card, fail=fail)
    assert [set(said) for said in told(node).unsupported] == [set(METRICS)]


def test_errors_that_the_driver_does_not_tell_of(node: Driver) -> None:
    """It is one more thing that is not supported, and nothing else."""
    node.say(fail={"nvmlDeviceRegisterEvents": 3})
    assert told(node).unsupported == [{"xid_errors": "Not Supported"}]


def test_what_turns_out_unsupported_later_is_told_then_and_left_out(node: Driver) -> None:
    """A device whose mode is changed tells less than it did."""
    lines = node.lines()
    assert next(lines)["kind"] == "hello"
    next(line for line in lines if line.get("fast"))
    node.say(fail={"nvmlDeviceGetUtilizationRates": 3, "field:186": 3})
    said: dict[str, str] = {}
    while len(said) < 2:
        said |= next(line["signals"] for line in lines if line["kind"] == "unsupported")
    node.say(fail={}, all=EVERYTHING | {"sm_clock": 1000})
    batches = (line["fast"] for line in lines if line.get("fast"))
    newest = next(rows[-1][2] for rows in batches if rows[-1][2]["clock_hertz"] == 1_000_000_000)
    lines.close()
    assert said == dict.fromkeys(("utilization", "power_watts"), "Not Supported")
    assert newest.keys() == {"energy_joules", "clock_hertz", "memory_clock_hertz", "clock_events"}


def test_a_device_that_tells_nothing_at_all_has_rows_nonetheless(node: Driver) -> None:
    """That it is there is told ten times a second."""
    node.say(all={}, card="a100")
    assert told(node).fast == {0: {}}

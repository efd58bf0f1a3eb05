"""The operator's benchmark: what it reads is read right, and a tiny run with a real API server."""

from __future__ import annotations

import math

import pytest
from benchmarks.scale.controllers import Writers, writers
from benchmarks.scale.histogram import Histogram, read
from benchmarks.scale.plane import Json
from benchmarks.scale.run import measure
from benchmarks.scale.size import EVERYTHING, Size
from benchmarks.scale.targets import targets
from benchmarks.scale.world import address, summary
from benchmarks.summary import Row, figure
from benchmarks.workloads import OPERATOR

from sidelight_contract.summary import decode_summary

TINY = Size((24,), models=4, created=12, created_seconds=0.5, interval=2, quiet=2)

EXPORTED = """
# TYPE took_seconds histogram
took_seconds_bucket{verb="GET",le="0.005"} 50
took_seconds_bucket{verb="GET",le="0.025"} 90
took_seconds_bucket{verb="GET",le="+Inf"} 100
took_seconds_sum{verb="GET"} 2
took_seconds_count{verb="GET"} 100
took_seconds_bucket{verb="PUT",le="+Inf"} 7
took_seconds_sum{verb="PUT"} 1
took_seconds_count{verb="PUT"} 7
"""


def test_a_quantile_is_told_by_a_line_and_by_its_bounds() -> None:
    """Half of the values lie below 5 ms; 70 % half way to 25; of the last tenth only that it is
    above it.
    """
    found = read(EXPORTED, "took_seconds", verb="GET")
    assert (found.count, found.mean) == (100, 0.02)
    assert found.quantile(0.5) == 0.005
    assert found.quantile(0.7) == pytest.approx(0.015)
    assert found.bounds(0.7) == (0.005, 0.025)
    assert found.bounds(0.99) == (0.025, math.inf)
    assert found.quantile(0.99) == 0.025


def test_what_was_there_before_does_not_count() -> None:
    """The difference of two readings is a histogram of what came between."""
    before = Histogram({0.005: 10, 0.025: 60, math.inf: 60}, 1.0)
    since = read(EXPORTED, "took_seconds", verb="GET").since(before)
    assert since == Histogram({0.005: 40, 0.025: 30, math.inf: 40}, 1.0)


def written(model: str, user: str, code: int = 200, subresource: str = "status") -> Json:
    """A line of the audit log."""
    return {
        "objectRef": {"name": model, "subresource": subresource},
        "responseStatus": {"code": code},
        "user": {"username": user},
    }


def test_writers_are_told_apart() -> None:
    """Written by its own, by both, by the other, by none; what was refused is not written."""
    owners = {"a": "east", "b": "east", "c": "west", "d": "west"}
    entries = [
        written("a", "east"), written("a", "east"), written("a", "west", 403),
        written("b", "east"), written("b", "west"), written("c", "east"),
        written("d", "west", subresource=""),
    ]  # fmt: skip
    assert writers(entries, owners) == Writers(by_one=2, by_two=1, by_none=1, by_the_wrong_one=2)


def test_targets_find_their_figures_in_a_full_run() -> None:
    """Under the labels that the run really has; memory has grown tenfold, which is allowed."""
    rows = [
        Row("operator", f"{pods} pods", "one controller", {"status_writes": 0}, {
            name: figure([pods / 5000])
            for name in ("complete_s", "behind_s", "rss_mb", "cores")
        })
        for pods in EVERYTHING.pods
    ]  # fmt: skip
    label = f"{EVERYTHING.created} pods in {EVERYTHING.created_seconds:g} s"
    figures = {"review_p99_ms": figure([16.0])}
    rows.append(Row("admission", label, "webhook", {"broken": 0}, figures))
    verdicts = [line.verdict() for line in targets(rows)]
    assert verdicts == [
        "met", "met", "met", "**missed** by 0.5 (100%)", "met", "met", "met", "met",
        "**missed** by 1 ms (7%)",
    ]  # fmt: skip
    assert {line.verdict() for line in targets([])} == {"not measured"}


def test_every_pod_has_an_address_of_its_own_on_loopback() -> None:
    """None ends in 0 or 255, and none is the machine's usual one."""
    found = [address(number) for number in range(EVERYTHING.pods[-1])]
    assert len(set(found)) == len(found)
    assert all(text.startswith("127.1.") for text in found)
    assert not {text.rpartition(".")[2] for text in found} & {"0", "255"}


def test_sidecars_say_what_the_contract_knows() -> None:
    """The summary can be read, has its requests, and the size of a real one."""
    body = summary(7)
    assert [traffic.requests for traffic in decode_summary(body).total] == [7, 7]
    assert 10_000 < len(body) < 100_000


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_a_tiny_run_with_a_real_api_server() -> None:
    """Every pod injected and observed; nothing written when nothing changed; of two controllers
    each writes its own ObservedModels and no other.
    """
    rows = measure(list(OPERATOR), TINY)
    found = {(row.label, row.way): row for row in rows}
    created = f"{TINY.created} pods in {TINY.created_seconds:g} s"
    assert list(found) == [
        (created, "no webhook"), (created, "webhook"),
        ("24 pods", "one controller"), ("24 pods", "two controllers"),
    ]  # fmt: skip
    assert found[created, "webhook"].counts == {"requests": TINY.created, "broken": 0}
    one, two = found["24 pods", "one controller"], found["24 pods", "two controllers"]
    assert one.counts == {"status_writes": 0}
    assert two.counts == {"status_writes": 0, "written_by_one": TINY.models, "broken": 0}
    for row in (one, two):
        assert all(row.figures[name].median > 0 for name in ("complete_s", "cores", "rss_mb"))

"""The report says what the samples say: ratios within a round, and every target's verdict."""

from __future__ import annotations

from benchmarks.report import report
from benchmarks.rounds import worthless
from benchmarks.summary import Row, row
from benchmarks.targets import Target, targets
from benchmarks.workloads import FULL, WORKLOADS, Case, Sample, cases

CASE = Case("streams", "256 spread", "streams", ())


def sample(cpu_us: float, ttft_ms: float, broken: int = 0) -> Sample:
    """One run of the streams client, as far as it matters here."""
    return {
        "broken": broken,
        "reads": 100,
        "merged_reads": 0,
        "reasons": ["cut off"] if broken else [],
        "cpu_us": cpu_us,
        "first_cpu_us": cpu_us - 1,
        "ttft_p99_ms": ttft_ms,
    }


ROUNDS = [
    {"direct": sample(0.0, 1.0), "nginx": sample(10.0, 1.2), "relay": sample(9.0, 1.1)},
    {"direct": sample(0.0, 2.0), "nginx": sample(40.0, 2.2), "relay": sample(20.0, 2.5)},
    {"direct": sample(0.0, 3.0), "nginx": sample(20.0, 9.9), "relay": sample(20.0, 3.2, broken=2)},
]


def test_ratios_are_taken_within_a_round() -> None:
    """9/10, 20/40 and 20/20: the median is 0.9, though the median of nginx alone is 20."""
    figure = row(CASE, "relay", ROUNDS).figures["cpu_us_to_nginx"]
    assert (figure.low, figure.median, figure.high) == (0.5, 0.9, 1.0)


def test_added_time_is_taken_within_a_round() -> None:
    """The machine was three times as slow in the last round; what was added is not."""
    found = row(CASE, "relay", ROUNDS).figures["added_ttft_p99_ms"]
    assert round(found.median, 9) == 0.2


def test_a_way_without_its_comparison_has_no_ratio() -> None:
    """Without nginx in the run there is nothing to divide by, and nothing is made up."""
    alone = [{"relay": samples["relay"]} for samples in ROUNDS]
    figures = row(CASE, "relay", alone).figures
    assert "cpu_us" in figures
    assert not [name for name in figures if "nginx" in name or "added" in name]


def test_broken_answers_are_summed_and_named() -> None:
    """The reasons come with the count."""
    found = row(CASE, "relay", ROUNDS)
    assert found.counts["broken"] == 2
    assert found.reasons == ["cut off"]


def test_a_target_says_by_how_much_it_is_missed() -> None:
    """Both directions, and a target of nothing at all."""
    assert Target("cpu", "x", 0.95, 0.9).verdict() == "met"
    assert Target("cpu", "x", 1.0, 1.5).verdict() == "**missed** by 0.5x (50%)"
    assert Target("speed", "", 100.0, 75.0, at_least=True).verdict() == "**missed** by 25 (25%)"
    assert Target("merged", "", 0, 3).verdict() == "**missed** by 3"
    assert Target("cpu", "x", 1.0, None).verdict() == "not measured"


def test_targets_read_the_rows_of_a_full_run() -> None:
    """Each target finds its figure under the labels that the workloads really have."""
    labels = {(case.workload, case.label) for case in cases(list(WORKLOADS), FULL)}
    labels |= {("memory", "256 streams"), ("observer", "replay")}
    names = (
        "cpu_us", "ttft_p99_ms", "latency_p50_ms", "first_busy_rss_mb", "tree_idle_rss_mb",
        "tree_busy_rss_mb", "events_per_second",
    )  # fmt: skip
    sample: Sample = {"merged_reads": 0, **dict.fromkeys(names, 1.0)}
    rounds = [dict.fromkeys(("direct", "nginx", "relay", "sidecar"), sample)]
    rows = [row(Case(w, label, "", ()), way, rounds) for w, label in labels for way in rounds[0]]
    lines = targets(rows)
    assert [line.figure for line in lines if "not" in line.verdict()] == []


def test_the_report_shows_every_row_and_warns_of_what_is_worthless() -> None:
    """A run with broken answers cannot be mistaken for a good one."""
    rows = [row(CASE, way, ROUNDS) for way in ("direct", "nginx", "relay")]
    text = report(rows, targets(rows), ["relay: 2 broken"])
    assert text.count("| 256 spread |") == 3
    assert "WORTHLESS" in text
    assert "WORTHLESS" not in report(rows, targets(rows), [])


def test_broken_and_unobserved_answers_make_a_run_worthless() -> None:
    """Whoever broke an answer is named; a sidecar may miss requests at full speed alone."""
    assert worthless([row(CASE, "relay", ROUNDS)]) == [
        "relay, streams, 256 spread: 2 broken (cut off)"
    ]
    missed = {"broken": 0, "not_observed": 5}
    assert worthless([Row("streams", "64 batch", "sidecar", missed)]) == [
        "sidecar, streams, 64 batch: 5 not observed"
    ]
    assert worthless([Row("unary", "8 connections", "sidecar", missed)]) == []


def test_a_column_that_nobody_has_is_left_out() -> None:
    """Rows without processor time make no empty columns."""
    bare = Row("unary", "1 connections", "direct", {"requests": 7})
    assert "CPU" not in report([bare], [], []).split("## Targets", maxsplit=1)[0]

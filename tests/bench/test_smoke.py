"""The benchmark itself, tiny: direct and relay, every workload of a proxy, and the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.workloads import PROXIES

ROOT = Path(__file__).parents[2]
TOKENS, STREAMS, RATE, SECONDS = 4, 3, 100, 0.2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The JSON of one tiny run."""
    path = tmp_path_factory.mktemp("bench") / "tiny.json"
    size = f"--rounds 1 --streams {STREAMS} --tokens {TOKENS} --seconds {SECONDS} --rate {RATE}"
    command = [sys.executable, "-m", "benchmarks", "--ways", "direct", "relay", *size.split()]
    command += ["--workloads", *PROXIES]
    done = subprocess.run(
        [*command, "--output", str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(path.read_text())
    document["markdown"] = done.stdout
    return document


def rows(tiny: dict[str, object], workload: str) -> list[dict[str, dict[str, object]]]:
    """The rows of one workload."""
    return [row for row in tiny["rows"] if row["workload"] == workload]  # type: ignore[attr-defined]


def test_every_workload_is_in_the_report(tiny: dict[str, object]) -> None:
    """In the JSON and in the tables, with nothing that makes it worthless."""
    assert {row["workload"] for row in tiny["rows"]} == set(PROXIES)  # type: ignore[attr-defined]
    assert tiny["problems"] == []
    assert str(tiny["markdown"]).count("\n## ") == len(PROXIES)


def test_every_event_of_every_stream_is_counted(tiny: dict[str, object]) -> None:
    """Role, tokens, finish and usage of each stream, through relay and direct, in both modes."""
    found = rows(tiny, "streams")
    assert [(row["label"], row["way"]) for row in found] == [
        (f"{STREAMS} {mode}", way) for mode in ("spread", "batch") for way in ("direct", "relay")
    ]
    for row in found:
        assert row["counts"]["events"] == STREAMS * (TOKENS + 3)
        assert row["counts"]["broken"] == 0


def test_every_short_connection_is_answered(tiny: dict[str, object]) -> None:
    """An open loop: as many as the rate says."""
    for row in rows(tiny, "connections"):
        assert row["counts"]["requests"] == RATE * SECONDS


@pytest.mark.parametrize("workload", ["unary", "prompts"])
def test_closed_loops_answer_what_they_send(tiny: dict[str, object], workload: str) -> None:
    """Requests are counted, none is broken, and the proxy's processor time is there."""
    for row in rows(tiny, workload):
        counts = row["counts"]
        assert 0 < counts["requests"] <= counts["sent"]  # type: ignore[operator]
        assert counts["broken"] == 0
        assert ("cpu_us" in row["figures"]) == (row["way"] == "relay")


def test_times_and_memory_are_measured(tiny: dict[str, object]) -> None:
    """The figures that the targets need are there and are more than nothing."""
    stream = next(row for row in rows(tiny, "streams") if row["way"] == "relay")
    for name in ("ttft_p99_ms", "delay_p50_ms", "gap_p99_ms", "cpu_us", "first_cpu_us"):
        assert stream["figures"][name]["median"] > 0  # type: ignore[index]
    (relay,) = rows(tiny, "memory")
    assert relay["figures"]["first_idle_rss_mb"]["median"] > 1  # type: ignore[index]
    (observer,) = rows(tiny, "observer")
    assert observer["figures"]["events_per_second"]["median"] > 0  # type: ignore[index]

"""A mix of requests to a real llama.cpp server: sidecar and client agree on every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.accuracy.asks import mix
from benchmarks.accuracy.compare import FIGURES, compare
from benchmarks.accuracy.report import report
from benchmarks.accuracy.run import measured
from benchmarks.accuracy.stand import engine

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

ALONE = 8
AT_ONCE = 32
MS = 1_000_000


def test_every_request_is_what_its_client_saw(tmp_path: Path) -> None:
    """One at a time, then 32 at once: streamed, not, tools, errors, hang-ups, long prompts.

    Counts are equal, of each request and in the live sidecar's sums; every time is within 1 ms or
    1 %, or its difference is measured lateness. And the comparison sees what is off: see below.
    """
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    rounds = [(mix(ALONE, 3), 1), (mix(AT_ONCE, 5), AT_ONCE)]
    with engine() as port:
        outcome = measured(port, tmp_path / "frames", rounds)
    assert outcome.all_wrong == [], report(outcome)
    assert len(outcome.verdicts) == ALONE + AT_ONCE
    figures = [figure for verdict in outcome.verdicts for figure in verdict.figures]
    for name in FIGURES:
        mine = [figure.verdict for figure in figures if figure.name == name]
        assert mine, name
    within = sum(figure.verdict == "within" for figure in figures)
    assert within > len(figures) / 2, report(outcome)  # the median, whatever the machine does

    streamed = [pair for pair in outcome.pairs if pair[2].arrivals > 2 and not pair[0].left_ns]
    for seen, flow, exchange in streamed:
        exchange.first_output_ns += 5 * MS
        assert compare(seen, flow, exchange).wrong
        exchange.first_output_ns -= 5 * MS
        exchange.events -= 1
        assert compare(seen, flow, exchange).wrong
        exchange.events += 1
        assert not compare(seen, flow, exchange).wrong

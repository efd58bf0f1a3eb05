"""A real llama.cpp server that is killed in its answers: client and sidecar say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.accuracy.compare import compare
from benchmarks.accuracy.outage import IN_VAIN, STREAMS, outage
from benchmarks.accuracy.report import report
from benchmarks.accuracy.stand import SLOTS

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(180)]
MS = 1_000_000


def test_requests_that_an_engine_took_along_are_what_their_clients_saw(tmp_path: Path) -> None:
    """Streams that had output, those that still waited for a slot, and requests after it: nobody
    listens then. Outputs are equal one by one, the end is when the client saw it.
    """
    pytest.importorskip("xllamacpp", reason="install it with make setup")
    outcome = outage(tmp_path / "frames")
    assert outcome.all_wrong == [], report(outcome)
    exchanges = [exchange for _, _, exchange in outcome.pairs]
    broken = [exchange for exchange in exchanges if exchange.error == "upstream_reset"]
    assert len(broken) == STREAMS
    assert sum(exchange.code == 200 and exchange.events > 0 for exchange in broken) >= SLOTS
    assert {exchange.code for exchange in broken} == {0, 200}
    rest = [exchange.error for exchange in exchanges if exchange not in broken]
    assert rest == ["upstream_connect"] * len(rest)
    assert len(rest) <= IN_VAIN

    for seen, flow, exchange in outcome.pairs:
        error, exchange.error = exchange.error, ""
        assert compare(seen, flow, exchange).wrong
        exchange.error = error
        exchange.stop_ns += 60_000 * MS
        assert compare(seen, flow, exchange).wrong
        exchange.stop_ns -= 60_000 * MS
        if exchange.events:
            exchange.events -= 1
            assert compare(seen, flow, exchange).wrong
            exchange.events += 1
        assert not compare(seen, flow, exchange).wrong

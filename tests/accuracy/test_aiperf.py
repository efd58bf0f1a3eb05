"""AIPerf's records beside exchanges: what is equal passes, what is off is named."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.accuracy.aiperf import Record, compare, records

from sidelight_sidecar.observer.exchange import Exchange

MS = 1_000_000


def exchange() -> Exchange:
    """A stream: t0 at 10 ms, output from 60 to 110 ms in six arrivals, the end at 112 ms."""
    seen = Exchange(1, 10 * MS)
    seen.stream = True
    seen.prompt_tokens, seen.output_tokens, seen.cached_tokens = 20, 6, 5
    seen.arrivals = 6
    seen.first_output_ns, seen.last_output_ns, seen.stop_ns = 60 * MS, 110 * MS, 112 * MS
    return seen


def record(folder: Path, **changed: float) -> dict[str, Record]:
    """AIPerf's of the same, as it exports it: it began 8 ms before, and connected."""
    values = {
        "time_to_first_token": 58.2, "request_latency": 108.3, "http_req_duration": 110.4,
        "http_req_sending": 8.0, "inter_token_latency": 10.02, **changed,
    }  # fmt: skip
    counts = {
        "output_sequence_length": 6, "input_sequence_length": 20,
        "usage_prompt_cache_read_tokens": 5,
    }  # fmt: skip
    metrics: dict[str, dict[str, object]] = {
        name: {"value": value, "unit": "ms"} for name, value in values.items()
    }
    metrics |= {name: {"value": values.get(name, count), "unit": "tokens"}
                for name, count in counts.items()}  # fmt: skip
    metrics["inter_chunk_latency"] = {"value": [10.0] * 5, "unit": "ms"}
    line = {"metadata": {"x_request_id": "one"}, "metrics": metrics}
    (folder / "profile_export.jsonl").write_text(json.dumps(line) + "\n")
    return records(folder)


def test_equal_figures_pass(tmp_path: Path) -> None:
    """Times less what AIPerf itself took to connect and send."""
    lines, wrong = compare(record(tmp_path), {"one": exchange()})
    assert wrong == []
    assert sum("1 of 1" in line for line in lines) == 5
    assert any("`time_to_first_token` | TTFT" in line and "0 of 1" in line for line in lines)


def test_what_differs_is_named(tmp_path: Path) -> None:
    """A token, a time for each token, a request that only one has seen."""
    assert compare(record(tmp_path, output_sequence_length=7), {"one": exchange()})[1] == [
        "output tokens: 1 differ"
    ]
    assert compare(record(tmp_path, inter_token_latency=11.5), {"one": exchange()})[1] == [
        "TPOT: 1 beyond the bound"
    ]
    seen = {"one": exchange(), "two": exchange()}
    assert compare(record(tmp_path), seen)[1] == ["two: seen by one of the two"]

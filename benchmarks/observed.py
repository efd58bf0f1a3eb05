"""Whether the sidecar that was measured did its work: it saw every request that was sent."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from benchmarks.ways import Way

SECONDS = 10.0


def not_observed(way: Way, sent: int) -> list[str]:
    """Return what the sidecar missed of so many requests; nothing, if nothing."""
    deadline = time.monotonic() + SECONDS
    while True:
        seen, gaps, starts = _seen(way.admin_port)
        if (seen >= sent and not gaps) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    problems = []
    if seen != sent:
        problems.append(f"sidecar: {seen} of {sent} requests observed")
    if gaps:
        problems.append(f"sidecar: {gaps} connections not observed")
    if starts > 1:
        problems.append(f"sidecar: its observer was started {starts} times")
    return problems


def _seen(port: int) -> tuple[int, int, int]:
    """Return the requests that were observed, the connections that were not, observer starts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/summary", timeout=5) as answer:
            summary = json.load(answer)
    except (OSError, urllib.error.URLError):
        return 0, 0, 0
    relay = summary["relay"]
    gaps = relay.get("flows_gapped_queue_full", 0) + relay.get("flows_gapped_no_observer", 0)
    seen = sum(traffic.get("requests", 0) for traffic in summary["total"])
    return seen, gaps, relay.get("observer_starts", 0)

"""Whether the sidecar that is measured does its work: how many requests it did not see."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass

from benchmarks.ways import Way

PATIENCE_SECONDS = 2.0
"""Without one more request seen, the rest will not be."""
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Seen:
    """What a sidecar says of itself."""

    requests: int
    observer_starts: int


class Observation:
    """Follows one sidecar over the run; nothing to follow on any other way."""

    def __init__(self, way: Way) -> None:
        self._port = way.admin_port
        self._requests = self.seen().requests if self._port else 0

    def missed(self, sent: int) -> int:
        """Return how many of the requests sent since the last call were not observed."""
        begun, last = time.monotonic(), self._requests
        while (now := self.seen().requests) < self._requests + sent:
            if now != last:
                begun, last = time.monotonic(), now
            if time.monotonic() - begun > PATIENCE_SECONDS:
                break
            time.sleep(POLL_SECONDS)
        before, self._requests = self._requests, now
        return max(0, before + sent - now)

    def seen(self) -> Seen:
        """Ask the sidecar; none, while it has no observer."""
        try:
            url = f"http://127.0.0.1:{self._port}/summary"
            with urllib.request.urlopen(url, timeout=5) as answer:
                summary = json.load(answer)
        except OSError:
            return Seen(0, 0)
        requests = sum(traffic.get("requests", 0) for traffic in summary["total"])
        return Seen(requests, summary["relay"].get("observer_starts", 0))

"""The observer's whole pipeline, frame file to summary, in a process that does nothing else.

``python -m benchmarks.clients.replay FILE TIMES`` prints one JSON object: the processor seconds of
each replay, and the requests that the summary counts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from sidelight_sidecar.observer.replay import replay


def main() -> None:
    """Replay as often as the command line says."""
    path, times = Path(sys.argv[1]), int(sys.argv[2])
    seconds, requests = [], 0
    for _ in range(times):
        begun = time.process_time_ns()
        (summary,) = replay(path, "summary")
        seconds.append((time.process_time_ns() - begun) / 1e9)
        requests = sum(traffic["requests"] for traffic in json.loads(str(summary))["total"])
    json.dump({"cpu_seconds": seconds, "requests": requests}, sys.stdout)


if __name__ == "__main__":
    main()

"""`python -m sidelight_sidecar.capture`, started by the observer; descriptor 0 is its socket."""

import argparse
import asyncio
import logging
import os
import resource
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

from sidelight_contract.names import ENGINE_SPANS_VARIABLE
from sidelight_sidecar.capture.app import run
from sidelight_sidecar.capture.link import Observer
from sidelight_sidecar.capture.make import Places, make_capture
from sidelight_sidecar.capture.ship.time_left import WallClock
from sidelight_sidecar.log_lines import log_lines

DRAIN_SECONDS = 8.0
"""How long what waits may take at the end. Default 8: within the pod's usual grace of 30, after the
engine and its connections have ended."""
MEMORY_LIMIT_MIB = 192
"""Data segment of this process (RLIMIT_DATA). Default 192: it dies of a leak before the container's
limit kills the relay with it."""

NICE = 10
"""Added to its priority: a text that was made to be slow to mask costs nobody else much."""

log = logging.getLogger("sidelight.capture")


def main() -> int:
    """Run until the observer ends."""
    usual = Places()
    parser = argparse.ArgumentParser(prog="sidelight_sidecar.capture")
    parser.add_argument("--records", type=Path, default=usual.records)
    parser.add_argument("--spool", type=Path, default=usual.spool)
    parser.add_argument("--secrets", type=Path, default=usual.secrets)
    port = os.environ.get(ENGINE_SPANS_VARIABLE, usual.engine_spans_port)
    parser.add_argument("--engine-spans-port", type=int, default=port)
    options = parser.parse_args()
    places = Places(options.records, options.spool, options.secrets, options.engine_spans_port)
    log_lines("capture", logging.WARNING)
    os.nice(NICE)
    size = MEMORY_LIMIT_MIB << 20
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        observer = Observer(socket.socket(fileno=0))
        make = partial(make_capture, places=places)
        asyncio.run(run(observer, make, WallClock(), DRAIN_SECONDS))
    except Exception as error:  # noqa: BLE001 - a message could hold what passed
        log.error("failed", extra={"fields": {"error": type(error).__name__}})  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

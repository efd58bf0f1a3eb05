"""The tap as its own process: ``python -m sidelight_sidecar.tap OPTIONS [-- OBSERVER...]``.

Arguments are read by hand, for `argparse` would take memory for the life of the process.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from sidelight_sidecar.relay.log import log
from sidelight_sidecar.tap.capture import BLOCKS, CaptureError
from sidelight_sidecar.tap.config import TapConfig
from sidelight_sidecar.tap.interface import AUTO, find
from sidelight_sidecar.tap.loop import run

USAGE = (
    "usage: python -m sidelight_sidecar.tap --interface NAME --port PORT [--tee-queue-bytes N]"
    " [--ring-blocks N] (--record FILE | -- OBSERVER [ARGUMENT...])"
)
POD_IP = "SIDELIGHT_POD_IP"  # POD_IP_VARIABLE of the contract, which is not for this process
OPTIONS = ("--interface", "--port", "--record", "--tee-queue-bytes", "--ring-blocks")


def parse(arguments: list[str]) -> TapConfig:
    """Return the settings that a command line says.

    Raises:
        ValueError: what is wrong with it.
    """
    options = list(arguments)
    observer: list[str] | None = None
    if "--" in options:
        split = options.index("--")
        options, observer = options[:split], options[split + 1 :] or None
    values = dict(zip(options[::2], options[1::2], strict=False))
    if len(options) % 2 or not {"--interface", "--port"} <= set(values) <= set(OPTIONS):
        raise ValueError(USAGE)
    return TapConfig(
        values["--interface"],
        int(values["--port"]),
        observer_argv=observer,
        record_path=values.get("--record"),
        tee_queue_bytes=int(values.get("--tee-queue-bytes", 8 << 20)),
        ring_blocks=int(values.get("--ring-blocks", BLOCKS)),
    )


def yield_memory() -> None:
    """Be the first to be killed when memory is short. An ephemeral container has no limit of its
    own: what it takes is the pod's, and nobody's requests depend on it.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123
        score.write("1000")


def main() -> int:
    """Run the tap that the command line describes."""
    yield_memory()
    try:
        config = parse(sys.argv[1:])
        if config.interface == AUTO:
            config.interface = find(os.environ.get(POD_IP, ""))
        return run(config)
    except (CaptureError, ValueError, OSError) as error:
        reason = str(error).replace("\\", "\\\\").replace('"', "'")
        log("failed", f'"why":"{reason}"')
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

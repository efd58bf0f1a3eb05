"""The relay as its own process: ``python -m sidelight_sidecar.relay OPTIONS [-- OBSERVER...]``.

Arguments are read by hand, for `argparse` would take memory for the life of the process.
"""

from __future__ import annotations

import sys

from sidelight_sidecar.relay.config import ORIGINAL_DESTINATION, RelayConfig, parse_address
from sidelight_sidecar.relay.log import log
from sidelight_sidecar.relay.loop import run

USAGE = (
    "usage: python -m sidelight_sidecar.relay --listen HOST:PORT [--listen ...]"
    " --engine HOST:PORT|original-dst [--record FILE] [--tee-queue-bytes N] [--drain-seconds N]"
    " [-- OBSERVER [ARGUMENT...]]"
)


def parse(arguments: list[str]) -> RelayConfig:
    """Return the settings that a command line says.

    Raises:
        ValueError: what is wrong with it.
    """
    options = list(arguments)
    observer: list[str] | None = None
    if "--" in options:
        split = options.index("--")
        options, observer = options[:split], options[split + 1 :] or None
    if len(options) % 2:
        raise ValueError(USAGE)
    listen, values = [], {}
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name == "--listen":
            listen.append(parse_address(value))
        elif name in ("--engine", "--record", "--tee-queue-bytes", "--drain-seconds"):
            values[name] = value
        else:
            raise ValueError(f"unknown option {name}; {USAGE}")
    engine = values.get("--engine", "")
    return RelayConfig(
        listen,
        engine if engine == ORIGINAL_DESTINATION else parse_address(engine),
        observer_argv=observer,
        record_path=values.get("--record"),
        tee_queue_bytes=int(values.get("--tee-queue-bytes", 8 << 20)),
        drain_seconds=float(values.get("--drain-seconds", 25.0)),
    )


def main() -> int:
    """Run the relay that the command line describes."""
    try:
        return run(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        reason = str(error).replace("\\", "\\\\").replace('"', "'")
        log("failed", f'"why":"{reason}"')
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

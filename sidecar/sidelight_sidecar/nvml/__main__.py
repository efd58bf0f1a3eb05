"""The program: finds the devices, and writes lines (`words`) to its output until that is closed."""

import argparse
import json
import os
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sidelight_sidecar.nvml.words import (
    FAST_SECONDS,
    FLUSH_SECONDS,
    MEMORY_MIB,
    PROCESS_NAME,
    SLOW_SECONDS,
    Outcome,
)

ADDRESS_BYTES = 256 << 20
"""That can be written, stacks of threads among it: growth that is sudden ends here."""


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="sidelight_sidecar.nvml", description=__doc__)
    parser.add_argument("--uuid", action="append", default=[], help="one of the pod's devices")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--claimed", action="store_true", help="only the pod's are visible (default)")
    seen.add_argument("--visible-all", action="store_true", help="the node's are visible")
    parser.add_argument("--period-ms", type=float, default=FAST_SECONDS * 1000)
    parser.add_argument("--slow-ms", type=float, default=SLOW_SECONDS * 1000)
    parser.add_argument("--flush-ms", type=float, default=FLUSH_SECONDS * 1000)
    parser.add_argument("--memory-mib", type=float, default=MEMORY_MIB)
    parser.add_argument("--name", default=PROCESS_NAME, help="of the process, at most 15 letters")
    options = parser.parse_args()
    _be_modest(options.name)
    try:  # the bindings may be missing
        from sidelight_sidecar.nvml.library import EndError  # noqa: PLC0415
        from sidelight_sidecar.nvml.program import Program  # noqa: PLC0415
    except ModuleNotFoundError as error:
        write([{"kind": "end", "outcome": Outcome.BINDINGS_NOT_FOUND, "text": str(error)}])
        return
    program = Program(
        options.uuid, options.visible_all, options.period_ms / 1000, options.slow_ms / 1000
    )
    program.start()
    with suppress(BrokenPipeError, KeyboardInterrupt):
        last = False
        while not last:
            program.outbox.changed.wait(options.flush_ms / 1000)
            if (mib := own_mib()) > options.memory_mib:
                program.outbox.end(EndError(Outcome.FAILED, f"its reader grew to {mib:.0f} MiB"))
            lines, last = program.outbox.take()
            write(lines)
    os._exit(0)  # a thread may hang in the driver, and would hold the interpreter's end up


def write(lines: Sequence[Mapping[str, Any]]) -> None:
    """Write lines; waits for whoever reads."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    rest = memoryview(text.encode())
    while rest:
        rest = rest[os.write(1, rest) :]


def own_mib() -> float:
    """Memory of this process that it shares with no other."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def _be_modest(name: str) -> None:
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (ADDRESS_BYTES, ADDRESS_BYTES))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()

"""What the process and the observer's end of the pipe agree on.

A line is a JSON object of at most `MAX_LINE_BYTES`; its `kind` says which:

* `hello`: `devices`, versions, and `missing`: those that were asked for and are not here;
* `samples`: `fast` and `slow` rows, each `[device, at_ns, values]`; `device` counts from 0 in
  hello's order, `at_ns` is CLOCK_MONOTONIC, `values` has the names and units of
  `observer.accelerators.source.Sample`; `dropped`: rows that nobody took in time;
* `unsupported`: `signals`, each with the driver's word for it; more may come later;
* `xid`: one error of that number on that `device`;
* `lost`: that `device` does not answer any more, and why;
* `gone`: the device of that `index` did not answer when devices were looked for, and why;
* `beat`: the process lives, and has nothing to tell;
* `end`: the last line, with an `Outcome`.
"""

from enum import StrEnum

PROCESS_NAME = "sl-nvml"
"""In /proc/PID/comm, by which a process of an observer before this one is found."""
MAX_LINE_BYTES = 256 << 10
MAX_DEVICES = 64
"""That are read, instances among them; no machine has more."""
FAST_SECONDS = 0.1
SLOW_SECONDS = 1.0
FLUSH_SECONDS = 0.25
"""Rows go out so often, however short the period is."""
BEAT_SECONDS = 1.0
MEMORY_MIB = 64
"""Its own memory, shared libraries apart: beyond it the process ends, and a fresh one starts.
Default 64: as much as injection adds to the sidecar's limit for it; with eight devices it takes 15.
"""
ROWS_SECONDS = 4.0
"""So long rows wait for a pipe that nobody empties; then the oldest go."""


class Outcome(StrEnum):
    """How the process ended by itself."""

    BINDINGS_NOT_FOUND = "bindings_not_found"
    """`nvidia-ml-py` is not installed."""
    LIBRARY_NOT_FOUND = "library_not_found"
    """`libnvidia-ml.so.1` is not in this container."""
    DRIVER_NOT_LOADED = "driver_not_loaded"
    VERSION_MISMATCH = "version_mismatch"
    """The library is of another version than the driver: it was replaced underneath."""
    NO_PERMISSION = "no_permission"
    DRIVER_RESET = "driver_reset"
    """It answered, and forgot that it was initialised."""
    DEVICES_LOST = "devices_lost"
    """All of them."""
    NO_DEVICES = "no_devices"
    """The driver shows none."""
    OWN_DEVICES_UNKNOWN = "own_devices_unknown"
    """Every device of the node is visible, and nobody said which are the pod's."""
    OWN_DEVICES_MISSING = "own_devices_missing"
    """None of the pod's devices is among those that the driver shows."""
    FAILED = "failed"
    """Anything else; the text says what."""

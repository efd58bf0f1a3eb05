"""The smallest observer: write the frames from descriptor 3 to a file.

``python -m sidelight_sidecar.frames.record PATH``. A file that is there is never touched: after a
restart the frames go to PATH.1, PATH.2, and so on.
"""

from __future__ import annotations

import os
import signal
import sys

from sidelight_sidecar.frames.file import file_header

FRAMES_FD = 3
READ_BYTES = 1 << 18


def create(path: str) -> int:
    """Create PATH, or the first free PATH.n, and return its descriptor."""
    number = 0
    while True:
        name = f"{path}.{number}" if number else path
        try:
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            number += 1


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def main() -> int:
    """Copy descriptor 3 to the file until the relay closes it."""
    if len(sys.argv) != 2:
        os.write(2, b"usage: python -m sidelight_sidecar.frames.record PATH\n")
        return 2
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the relay, which then closes fd 3
    out = create(sys.argv[1])
    write_all(out, file_header())
    while data := os.read(FRAMES_FD, READ_BYTES):
        write_all(out, data)
    os.close(out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

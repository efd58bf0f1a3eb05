"""Stands between relay and observer, and keeps what passes: `keep.py FILE OBSERVER...`.

The observer gets descriptor 3 as from the relay, whose child it stays (a sidecar accounts for its
two processes); a child of this program copies the frames to the file on their way. So the file has
exactly what the live observer saw.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from sidelight_sidecar.frames.file import file_header

FRAMES_FD = 3
READ_BYTES = 1 << 18


def copy(to: socket.socket, path: Path) -> None:
    """Copy frames to the observer and the file, until the relay closes its end."""
    with path.open("xb") as file:
        file.write(file_header())
        while data := os.read(FRAMES_FD, READ_BYTES):
            file.write(data)
            to.sendall(data)


def main() -> None:
    """Fork: the child copies, this process becomes the observer."""
    path, *observer = sys.argv[1:]
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        theirs.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        copy(ours, Path(path))
        os._exit(0)
    ours.close()
    os.dup2(theirs.fileno(), FRAMES_FD)
    os.execv(observer[0], observer)


if __name__ == "__main__":
    main()

"""Frame files: a header line with two clocks, then frames back to back.

``SIDELIGHT-FRAMES 1 <monotonic_ns> <wall_ns>``: both clocks were read at the same moment, so a
frame's monotonic time can be turned into wall time wherever the file is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import BinaryIO

from sidelight_sidecar.frames.codec import Frame, FrameDecoder, FrameError

MAGIC = b"SIDELIGHT-FRAMES"
VERSION = b"1"
MAX_HEADER_BYTES = 80
READ_BYTES = 1 << 18


def file_header(monotonic_ns: int | None = None, wall_ns: int | None = None) -> bytes:
    """Return the first line of a frame file; the clocks are read now unless given."""
    monotonic_ns = time.monotonic_ns() if monotonic_ns is None else monotonic_ns
    wall_ns = time.time_ns() if wall_ns is None else wall_ns
    return b"%s %s %d %d\n" % (MAGIC, VERSION, monotonic_ns, wall_ns)


class FrameFileWriter:
    """Write a frame file: its header at once, then whole encoded frames as they are given."""

    def __init__(
        self, file: BinaryIO, *, monotonic_ns: int | None = None, wall_ns: int | None = None
    ) -> None:
        self._file = file
        file.write(file_header(monotonic_ns, wall_ns))

    def write(self, frames: bytes) -> None:
        """Append encoded frames."""
        self._file.write(frames)


class FrameFileReader:
    """Read a frame file from its start; iterate for the frames.

    Attributes:
        monotonic_ns: the monotonic clock when the file was begun.
        wall_ns: the wall clock (ns since 1970, UTC) at the same moment.

    Raises:
        FrameError: at once when the first line is not a frame file's; while iterating, after the
            last whole frame, when the rest is damaged or cut off.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        line = file.readline(MAX_HEADER_BYTES)
        fields = line.split()
        if len(fields) != 4 or fields[0] != MAGIC or not line.endswith(b"\n"):
            raise FrameError("no frame file: its first line is not SIDELIGHT-FRAMES", 0)
        if fields[1] != VERSION:
            version = fields[1].decode("ascii", "replace")
            raise FrameError(f"frame file of version {version}; this reader knows 1", 0)
        try:
            self.monotonic_ns, self.wall_ns = int(fields[2]), int(fields[3])
        except ValueError as error:
            raise FrameError("the clocks of the first line are no numbers", 0) from error
        self._header_bytes = len(line)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        decoder = FrameDecoder(offset=self._header_bytes)
        while data := self._file.read(READ_BYTES):
            yield from decoder.feed(data)
        decoder.close()

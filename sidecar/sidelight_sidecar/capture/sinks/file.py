"""Records as JSON lines in zstd files: rotated by size and age, and never the disk's ruin.

Rules:
1. Each batch is a whole zstd frame, written in one go: `zstdcat` reads all files, and a crash
   costs at most the batch that was being written, which comes again; what there is of it is cut
   off.
2. A file has a name of its time and ends as `.jsonl.zst`; the one that grows ends as `.open`, so
   who collects files takes whole ones.
3. A directory has one owner, by a lock: the process before this one may still be writing.
4. All files together stay within a limit, the oldest go first; and nothing is written where that
   would leave the file system less than `min_free_bytes`.
5. One thread at a time writes or ends a file: a batch that timed out may still be writing.
"""

import asyncio
import contextlib
import errno
import mmap
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.spool.lock import Lock
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.coding import zstd

SUFFIX = ".jsonl.zst"
GROWING = ".open"
LEVEL = 3


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Bounds of one file sink."""

    max_file_bytes: int = 64 << 20
    """A file is ended once it is this large. Default 64 MiB."""
    max_file_seconds: float = 600.0
    """And once it is this old. Default 10 minutes: so long a collector waits."""
    max_bytes: int = 1 << 30
    """All files together. Default 1 GiB."""
    min_free_bytes: int = 256 << 20
    """What the file system keeps free. Default 256 MiB: others write there, too."""


class FileSink:
    """Writes into one directory, which nobody else writes to.

    Args:
        name: the sink's.
        directory: made if it is not there.
        settings: its bounds.
        now: Unix seconds.

    Attributes:
        deleted: files that had to go for the limit, since the start.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: FileSettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.deleted = 0
        self._directory = directory
        self._settings = settings
        self._now = now
        self._growing: Path | None = None
        self._lock: Lock | None = None
        self._since = 0.0
        self._sequence = 0
        self._writing = threading.Lock()

    async def send(self, entries: Sequence[Entry]) -> Delivery:
        """Write a batch."""
        return await asyncio.to_thread(self._send, entries)

    def _send(self, entries: Sequence[Entry]) -> Delivery:
        with self._writing:
            return self._send_alone(entries)

    def _send_alone(self, entries: Sequence[Entry]) -> Delivery:
        frame = zstd.compress(b"".join(entry.record + b"\n" for entry in entries), LEVEL)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = Lock(self._directory)
                self._end_files_of_before()
            self._make_room(len(frame))
            if shutil.disk_usage(self._directory).free < self._settings.min_free_bytes + len(frame):
                return Delivery(Outcome.LATER, "file system nearly full")
            self._write(frame)
        except BlockingIOError:
            return Delivery(Outcome.LATER, "directory taken")
        except OSError as error:
            return Delivery(Outcome.LATER, os.strerror(error.errno) if error.errno else "disk")
        return Delivery(Outcome.DELIVERED)

    def _write(self, frame: bytes) -> None:
        path = self._growing or self._begin()
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                whole = file.write(frame) == len(frame)
            except OSError:
                file.truncate(size)
                raise
            if not whole:
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        old = self._now() - self._since >= self._settings.max_file_seconds
        if old or size + len(frame) >= self._settings.max_file_bytes:
            self._end_file()

    def _begin(self) -> Path:
        self._since = self._now()
        self._sequence += 1
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._since))
        name = f"{moment}-{os.getpid()}-{self._sequence:06d}{SUFFIX}{GROWING}"
        self._growing = self._directory / name
        return self._growing

    def _end_file(self) -> None:
        """What comes next begins a new file."""
        if self._growing is not None and self._growing.exists():
            self._growing.rename(self._growing.with_suffix(""))
        self._growing = None

    async def close(self) -> None:
        """End the file, and let another have the directory."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._writing:
            self._end_file()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def end_old_file(self) -> None:
        """End the growing file if it is old enough, though nothing comes; if it is being written
        to, another time.
        """
        if not self._writing.acquire(blocking=False):
            return
        with contextlib.ExitStack() as stack:
            stack.callback(self._writing.release)
            stack.enter_context(contextlib.suppress(OSError))  # it is tried again
            if self._growing and self._now() - self._since >= self._settings.max_file_seconds:
                self._end_file()

    def _end_files_of_before(self) -> None:
        for path in self._directory.glob(f"*{SUFFIX}{GROWING}"):
            if _cut_to_whole_frames(path):
                path.rename(path.with_suffix(""))
            else:
                path.unlink()

    def _make_room(self, size: int) -> None:
        files = sorted(self._directory.glob(f"*{SUFFIX}"))
        taken = sum(path.stat().st_size for path in files)
        if self._growing is not None and self._growing.exists():
            taken += self._growing.stat().st_size
        while files and taken + size > self._settings.max_bytes:
            oldest = files.pop(0)
            taken -= oldest.stat().st_size
            oldest.unlink()
            self.deleted += 1


def _cut_to_whole_frames(path: Path) -> int:
    """What a kill left half written goes, for no reader takes a file that ends within a frame; the
    bytes that are left.
    """
    size = path.stat().st_size
    if not size:
        return 0
    with (
        path.open("r+b", buffering=0) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        whole = _whole_frames(data)
        if whole < size:
            file.truncate(whole)
    return whole


def _whole_frames(data: mmap.mmap) -> int:
    """Bytes of the whole frames at the start."""
    at = 0
    with memoryview(data) as view:
        while at < len(view):
            with view[at:] as rest:
                try:
                    at += zstd.get_frame_size(rest)
                except zstd.ZstdError:
                    break
    return at

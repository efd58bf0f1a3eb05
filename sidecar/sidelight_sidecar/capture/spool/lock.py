"""One owner for a directory, as long as its process lives."""

import fcntl
import os
from pathlib import Path

NAME = ".lock"


class Lock:
    """Has a directory until it is closed, or the process ends.

    Raises:
        BlockingIOError: another has it.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Let another have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

"""Opens a file of the model, if it is one: whatever else may stand there under its name.

Rules:
1. Only plain files inside the volume, once every link is followed. A pipe, a device or a socket
   under a file's name is not opened: to open one can wait for ever, or do something.
2. Nothing is written, and no time of access: the mount is read-only.
"""

import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


class LeadsOutError(Exception):
    """A link leads out of the volume."""


class NoFileError(Exception):
    """It is no plain file, or not there."""


def resolved(path: Path, root: Path) -> Path:
    """Where `path` leads, all links followed.

    Raises:
        LeadsOutError: out of `root`.
    """
    real = Path(os.path.realpath(path))
    if real != root and root not in real.parents:
        raise LeadsOutError(str(path))
    return real


def opened(path: Path, root: Path) -> tuple[int, int]:
    """A descriptor of the plain file that `path` leads to, and its size.

    Raises:
        LeadsOutError: it is outside `root`.
        NoFileError: it is no plain file.
        PermissionError: it may not be read.
    """
    real = resolved(path, root)
    try:
        if not stat.S_ISREG(real.lstat().st_mode):
            raise NoFileError(str(path))
        descriptor = os.open(real, _FLAGS)
    except FileNotFoundError as error:
        raise NoFileError(str(path)) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):  # it was changed between
        os.close(descriptor)
        raise NoFileError(str(path))
    return descriptor, found.st_size

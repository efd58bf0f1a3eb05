"""The Secret of a sink: a folder with a file for each key, as the kubelet mounts it.

Rules:
1. It is read again before each batch: it is small, and a new password counts from then on.
2. All keys are of one version: the kubelet writes a new one beside the old and swaps a link
   (`..data`), which is followed once.
3. Nothing of it is in an error, a log or a `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_KEYS = 32
MAX_KEY_BYTES = 64 << 10
_VERSION = "..data"


class SecretError(Exception):
    """It cannot be read, or is not what the sink needs; the message is a few words of ours."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What was in the folder."""

    values: Mapping[str, str] = field(repr=False)
    """By key; empty: the sink has none. Line ends at the end of a value are not part of it."""
    directory: Path
    """Of this version's files, for who reads files alone."""


def read_secret(directory: Path) -> Secret:
    """The Secret in a folder; one without values if there is no such folder.

    Raises:
        SecretError: it cannot be read.
    """
    try:
        version = directory / _VERSION
        place = version.resolve(strict=True) if version.exists() else directory
        if not place.exists():
            return Secret({}, place)
        files = [path for path in sorted(place.iterdir()) if not path.name.startswith("..")]
        return Secret({path.name: _read(path) for path in files[:MAX_KEYS]}, place)
    except (OSError, ValueError):  # one that is swapped at this moment is read the next time
        raise SecretError("secret cannot be read") from None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_KEY_BYTES + 1)
    if len(data) > MAX_KEY_BYTES:
        raise ValueError
    return data.decode().rstrip("\r\n")

"""The two files that the controller keeps for a sidecar: configuration and token, read again when
they change. Both may be missing, and come later.
"""

import hmac
from pathlib import Path

from sidelight_contract.config import MAX_CONFIG_BYTES, ConfigError, SidecarConfig, decode_config

_MAX_TOKEN_BYTES = 4096


class ConfigFile:
    """A configuration file that may change."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._content: bytes | None = None

    def poll(self) -> SidecarConfig | None:
        """A configuration that was not there at the last call; None: nothing new.

        Raises:
            ConfigError: the new content cannot be used; said once.
        """
        if self._path is None:
            return None
        content = _read(self._path, MAX_CONFIG_BYTES + 1)
        if content is None or content == self._content:
            return None
        self._content = content
        try:
            return decode_config(content)
        except ConfigError as error:
            raise ConfigError(f"{self._path}: {error}") from error


class TokenFile:
    """The token that `/summary` asks for."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def expected(self) -> bool:
        """Whether there is a file to wait for."""
        return self._path is not None

    def accepts(self, token: bytes) -> bool | None:
        """Whether it is the token as it stands; None while there is none."""
        if not (known := self._read()):
            return None
        return hmac.compare_digest(token, known)

    def _read(self) -> bytes:
        if self._path is None:
            return b""
        return (_read(self._path, _MAX_TOKEN_BYTES) or b"").strip()


def _read(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError:
        return None

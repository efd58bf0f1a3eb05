"""What a tap in an ephemeral container has instead of mounted files, and how it learns to end.

Such a container can mount nothing that its pod has not, and what its specification holds, anybody
who may read pods can read. So:

1. The configuration that it begins with is in the environment. Who has the token tells it another,
   within a file's limits, but for payloads: a token may be learned by who may not write the pod's
   configuration. What is kept of them, and where it goes, is as it was attached, or off.
2. Instead of the token it has the token's SHA-256: enough to know the token, of no use to make it.
   When tokens are rotated, who has the old one tells it the new one's.
3. It cannot be removed, so it ends itself: when the controller says so, or when nobody with the
   token has asked for a summary for a whole lease, as when everything of Sidelight was removed.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.config import ConfigError, SidecarConfig, decode_config
from sidelight_contract.export import ExportSettings

TERMINATION_LOG = Path("/dev/termination-log")
"""Where the kubelet takes a container's last words from, for the pod's status."""
_LOOK_SECONDS = 1.0
_WHY_LIMIT = 300
_HASH_BYTES = 32
_MAX_TOKENS = 4

log = logging.getLogger("sidelight.observer")


class InlineConfig:
    """The configuration of the environment, given once, and those that come after it; in the place
    of a `ConfigFile`.
    """

    def __init__(self, text: str) -> None:
        self._text: str | None = text or None
        self._first = SidecarConfig(version=1)

    def poll(self) -> SidecarConfig | None:
        """The configuration, at the first call.

        Raises:
            ConfigError: it cannot be used; said once.
        """
        if self._text is None:
            return None
        text, self._text = self._text, None
        try:
            self._first = decode_config(text.encode())
        except ConfigError as error:
            raise ConfigError(f"the environment's configuration: {error}") from error
        return self._first

    def told(self, body: bytes) -> SidecarConfig:
        """What is in force when somebody with the token says `body`.

        Raises:
            ConfigError: it cannot be used.
        """
        try:
            config = decode_config(body)
        except ConfigError as error:
            raise ConfigError(f"the configuration that it was told: {error}") from error
        first = self._first
        if (config.capture, config.export) == (first.capture, first.export):
            return config
        off = CaptureSettings(), ExportSettings()
        return msgspec.structs.replace(config, capture=off[0], export=off[1])


class TokenHash:
    """Knows tokens by their SHA-256, written as hexadecimal numbers with commas between; in the
    place of a `TokenFile`.

    Raises:
        ValueError: it is no such text.
    """

    expected = True

    def __init__(self, text: str) -> None:
        self._hashes: tuple[bytes, ...] = ()
        self.replace(text)

    def accepts(self, token: bytes) -> bool:
        """Whether it is a token; how far it is from one takes no different time."""
        given = hashlib.sha256(token).digest()
        return any(hmac.compare_digest(given, known) for known in self._hashes)

    def replace(self, text: str) -> None:
        """Know others from now on.

        Raises:
            ValueError: it is no such text; then the old ones are known still.
        """
        hashes = tuple(bytes.fromhex(part) for part in text.split(","))
        if len(hashes) > _MAX_TOKENS or any(len(known) != _HASH_BYTES for known in hashes):
            raise ValueError(f"one to {_MAX_TOKENS} SHA-256 in hexadecimal, with commas between")
        self._hashes = hashes


class Lease:
    """How long this tap may go on.

    Args:
        seconds: without a question of the controller.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._asked = clock()
        self._why = ""

    def renew(self) -> None:
        """Somebody with the token asked."""
        self._asked = self._clock()

    def end(self, why: str) -> None:
        """Somebody with the token said that it is over."""
        printable = "".join(character if character.isprintable() else " " for character in why)
        self._why = printable[:_WHY_LIMIT] or "told to end"

    def over(self) -> str:
        """Why it is over; "" while it is not."""
        if not self._why and self._clock() - self._asked >= self._seconds:
            self._why = f"nobody asked for the summary for {self._seconds:g} s"
        return self._why


def leave_word(why: str, where: Path = TERMINATION_LOG) -> None:
    """Say why in the log and in the pod's status, as far as that goes."""
    log.info("ends", extra={"fields": {"why": why}})
    with suppress(OSError):
        if where.exists():
            where.write_text(why)


async def end_in_time(lease: Lease, end: Callable[[str], None]) -> None:
    """Call `end` when the lease is over."""
    while True:
        if why := lease.over():
            end(why)
            return
        await asyncio.sleep(_LOOK_SECONDS)


def end_tap(why: str) -> None:
    """Stop the process that started this one, as the kubelet would."""
    leave_word(why)
    os.kill(os.getppid(), signal.SIGTERM)

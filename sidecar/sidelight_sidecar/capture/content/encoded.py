"""Base64 and hex: media that are inlined, and text that hides in an encoding.

Rules:
1. A `data:` URL with base64, and a string that is base64 as a whole and decodes to something that
   is no text, are replaced by a marker. It takes `BINARY_CHARACTERS` for the latter, or
   `MEDIA_CHARACTERS` in a field that holds media; shorter ones stay: ids and hashes look so too.
2. Base64 or hex of at least `RUN_CHARACTERS` anywhere in a text is decoded once, and where what
   comes out is text in which the masker finds something, the run is replaced. Base64 within
   base64, or broken over lines, and other encodings are not looked into.
3. Linear: a character is decoded at most twice, and what was decoded is masked at most twice.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from sidelight_sidecar.capture.content import markers

RUN_CHARACTERS = 16
"""Base64 of 12 characters, hex of 8. Anything at random is text once in 100,000 of such runs."""
BINARY_CHARACTERS = 256
MEDIA_CHARACTERS = 64
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}+={0,2}")
_PIECE = re.compile(r"[A-Za-z0-9]{16,}+")
_DATA_URL = re.compile(
    r"data:([^,;\s\"']{0,100})(?:;[^,;\s\"']{1,100}){0,4};base64,([A-Za-z0-9+/_=-]*+)"
)
_WHOLE = re.compile(r"[A-Za-z0-9+/_\-\r\n]++={0,2}[\r\n]*+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})++")
_ALPHABET = bytes(
    byte if byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-" else 32
    for byte in range(256)
)
_TO_A = bytes(97 if byte != 32 else 32 for byte in _ALPHABET)
_LONG_RUN = b"a" * RUN_CHARACTERS

Finds = Callable[[str], bool]


def data_urls(text: str) -> str:
    """The text with a marker for each inlined `data:` URL."""
    if ";base64," not in text:
        return text
    return _DATA_URL.sub(lambda found: markers.media(decoded(found[2]), found[1]), text)


def binary(text: str, declared: str, *, media: bool) -> str | None:
    """The marker for a text that is base64 of something that is none; else None."""
    if len(text) < (MEDIA_CHARACTERS if media else BINARY_CHARACTERS):
        return None
    if not text.isascii() or _WHOLE.fullmatch(text) is None:
        return None
    content = decoded(text)
    if not content or (not media and _as_text(content) is not None):
        return None
    return markers.media(content, declared)


def hidden(text: str, finds: Finds) -> str:
    """The text without encoded runs in which there is something to find."""
    if _LONG_RUN not in text.encode("utf-8", "replace").translate(_TO_A):
        return text
    return _RUN.sub(lambda found: _without_secret(found[0], finds), text)


def decoded(text: str) -> bytes:
    """Base64 of either alphabet, as far as it goes; what is over at the end is left."""
    plain = text.translate(_STANDARD).rstrip("=")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return b""


_STANDARD = {ord("-"): "+", ord("_"): "/", ord("\r"): None, ord("\n"): None}


def _without_secret(run: str, finds: Finds) -> str:
    if any(map(finds, _readings(run))):
        return markers.ENCODED
    if _PIECE.fullmatch(run.rstrip("=")):
        return run
    return _PIECE.sub(
        lambda found: markers.ENCODED if any(map(finds, _readings(found[0]))) else found[0], run
    )


def _readings(run: str) -> Iterator[str]:
    """What a run may say."""
    if _HEX.fullmatch(run) and (text := _as_text(bytes.fromhex(run))):
        yield text
    if text := _as_text(decoded(run)):
        yield text


def _as_text(content: bytes) -> str | None:
    """The bytes as text, if they are some."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    printable = text.translate(_SPACES).isprintable()
    return text if printable else None


_SPACES = {9: " ", 10: " ", 13: " "}

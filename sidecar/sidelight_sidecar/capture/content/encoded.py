"""Base64 and hex: media that are inlined, and text that hides in an encoding.

Rules:
1. A `data:` URL with base64, and a string that is base64 as a whole and decodes to something that
   is no text, are replaced by a marker. It takes `BINARY_CHARACTERS` for the latter, or
   `MEDIA_CHARACTERS` in a field that holds media; shorter ones stay: ids and hashes look so too.
2. Base64 or hex of at least `RUN_CHARACTERS` anywhere in a text is decoded once, and where what
   comes out is text in which the masker finds something, the run is replaced; so is a whole text
   that is base64 in lines. Base64 within base64, or in lines within other text, and other
   encodings are not looked into.
3. Linear: a character is decoded at most twice, and what was decoded is masked at most twice.
"""

import binascii
import re
from collections.abc import Callable, Iterator

from sidelight_sidecar.capture.content import markers

RUN_CHARACTERS = 16
"""Base64 of 12 characters, hex of 8. Anything at random is text once in 100,000 of such runs."""
BINARY_CHARACTERS = 256
MEDIA_CHARACTERS = 64
_PIECE = re.compile(rb"[A-Za-z0-9]{16,}+")
_MARK = ";base64,"
_HEAD = re.compile(r"data:([^,;\s\"']{0,100})(?:;[^,;\s\"']{1,100}){0,4}")
_HEAD_CHARACTERS = 512
_TAIL = re.compile(r"[A-Za-z0-9+/_=-]*+")
_WHOLE = re.compile(r"[A-Za-z0-9+/_\-\r\n]++={0,2}[\r\n]*+")
_HEX = b"0123456789abcdefABCDEF"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PRINTED = bytes({*range(32, 127), 9, 10, 13})
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_SIGNS = bytes(97 if byte in _ALPHABET else 32 for byte in range(256))
"""What base64 is written with becomes `a`, anything else a space: runs are found by `find`."""
_LONG_RUN = b"a" * RUN_CHARACTERS

Finds = Callable[[str], bool]


def data_urls(text: str) -> str:
    """The text with a marker for each inlined `data:` URL."""
    mark = text.find(_MARK)
    if mark < 0:
        return text
    pieces: list[str] = []
    done = 0
    while mark >= 0:
        start = text.rfind("data:", max(done, mark - _HEAD_CHARACTERS), mark)
        after = mark + len(_MARK)
        head = _HEAD.fullmatch(text, start, mark) if start >= 0 else None
        if head is not None:
            tail = _TAIL.match(text, after)
            assert tail is not None
            after = tail.end()
            pieces += (text[done:start], markers.media(decoded(tail[0]), head[1]))
            done = after
        mark = text.find(_MARK, after)
    return "".join([*pieces, text[done:]])


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
    data = text.encode()
    signs = data.translate(_SIGNS)
    start = signs.find(_LONG_RUN)
    if start < 0:
        return text
    if b"\n" in data and _WHOLE.fullmatch(text) and (inner := _as_text(decoded(text))):
        return markers.ENCODED if finds(inner) else text
    pieces: list[bytes] = []
    done = 0
    while start >= 0:
        end = signs.find(b" ", start)
        end = len(data) if end < 0 else end
        end += len(data[end : end + 2]) - len(data[end : end + 2].lstrip(b"="))
        run = data[start:end]
        shown = _without_secret(run, finds)
        if shown is not run:
            pieces += (data[done:start], shown)
            done = end
        start = signs.find(_LONG_RUN, end)
    return b"".join([*pieces, data[done:]]).decode() if pieces else text


def decoded(text: str) -> bytes:
    """Base64 of either alphabet, as far as it goes; what is over at the end is left."""
    return _decoded(text.encode().translate(None, b"\r\n"))


def _decoded(run: bytes) -> bytes:
    plain = run.translate(_STANDARD).rstrip(b"=")
    over = len(plain) % 4
    plain = plain[:-1] if over == 1 else plain + b"=" * (-over % 4)
    try:
        return binascii.a2b_base64(plain)
    except binascii.Error:  # padding in the midst of it
        return b""


def _without_secret(run: bytes, finds: Finds) -> bytes:
    """The run; the same object where nothing was found in it."""
    if any(map(finds, _readings(run))):
        return _ENCODED
    pieces = _PIECE.findall(run)
    if pieces == [run.rstrip(b"=")]:
        return run
    for piece in pieces:
        if any(map(finds, _readings(piece))):
            return _PIECE.sub(lambda found: _piece_without_secret(found[0], finds), run)
    return run


_ENCODED = markers.ENCODED.encode()


def _piece_without_secret(piece: bytes, finds: Finds) -> bytes:
    return _ENCODED if any(map(finds, _readings(piece))) else piece


def _readings(run: bytes) -> Iterator[str]:
    """What a run may say."""
    if len(run) % 2 == 0 and not run.translate(None, _HEX):
        text = _as_text(bytes.fromhex(run.decode()))
        if text:
            yield text
    text = _as_text(_decoded(run))
    if text:
        yield text


def _as_text(content: bytes) -> str | None:
    """The bytes as text, if they are some."""
    if content.isascii():
        return content.decode() if not content.translate(None, _PRINTED) else None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if text.translate(_SPACES).isprintable() else None


_SPACES = {9: " ", 10: " ", 13: " "}

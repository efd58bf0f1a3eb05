"""What stands for content that was left out: words in brackets, like a masker's tokens.

A marker holds nothing of what it stands for but its kind, its size and the first 64 bits of its
SHA-256, by which two captures of one image are known to be the same. Of something small there is
no hash: it could be guessed.
"""

import hashlib
import re
from typing import NamedTuple

SYSTEM = "[DROPPED system prompt]"
TOOL_RESULT = "[DROPPED tool result]"
LOGPROBS = "[LOGPROBS]"
ENCODED = "[ENCODED]"
TEXT = "[TEXT]"

_GUESSABLE_BYTES = 256
"""A digest of less than this is left out."""
_MEDIA_TYPE = re.compile(r"[a-z]{1,16}/[a-z][a-z.+-]{0,40}")
_MODALITIES = {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO"}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"), (b"PK\x03\x04", "application/zip"),
)  # fmt: skip
_MARKER = re.compile(
    r"\[(IMAGE|AUDIO|VIDEO|FILE|BINARY)(?: ([a-z]+/[a-z.+-]+))? ([0-9]+) bytes"
    r"(?: sha256:([0-9a-f]{16}))?\]"
)


class Media(NamedTuple):
    """What a marker says of media that were inlined."""

    modality: str
    media_type: str
    size_bytes: int
    sha256: str


def tokens(count: int) -> str:
    """For a list of tokens' ids or of bytes."""
    return f"[TOKENS {count}]"


def vector(count: int) -> str:
    """For an embedding."""
    return f"[VECTOR {count}]"


def dropped(modality: str) -> str:
    """For media that are left out, wherever they are."""
    return f"[DROPPED {modality}]"


def media(content: bytes, declared: str) -> str:
    """For media that are inlined."""
    declared = declared.lower()
    kind = declared if _MEDIA_TYPE.fullmatch(declared) else sniffed(content)
    word = _MODALITIES.get(kind.partition("/")[0], "FILE" if kind else "BINARY")
    parts = [word, kind, f"{len(content)} bytes", _digest(content)]
    return "[" + " ".join(filter(None, parts)) + "]"


def sniffed(content: bytes) -> str:
    """The type of media by how they begin; empty if it is not known."""
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(content[8:12], "")
    return "video/mp4" if content[4:8] == b"ftyp" else ""


def read_media(marker: str) -> Media | None:
    """What a marker says; None for any other text."""
    found = _MARKER.fullmatch(marker)
    if found is None:
        return None
    word = "file" if found[1] == "BINARY" else found[1].lower()
    return Media(word, found[2] or "", int(found[3]), found[4] or "")


def _digest(content: bytes) -> str:
    if len(content) < _GUESSABLE_BYTES:
        return ""
    return "sha256:" + hashlib.sha256(content).hexdigest()[:16]

"""The format of a spool's files: entries one after the other, each with its length and checksum.

`length of the record (4 bytes, little-endian), CRC-32 of all that follows (4 bytes), when it came
(Unix seconds, 8 bytes), record`. Where an entry is not whole or its checksum is wrong, what comes
after it in the file cannot be trusted: it is skipped.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("<IId")
_SUM = struct.Struct("<II")
HEADER_BYTES = _HEADER.size
MAX_RECORD_BYTES = 16 << 20
"""A greater length is damage, not a record."""


class Read(NamedTuple):
    """A whole entry of a file."""

    at: float
    record: bytes
    end: int
    """Where it ends, in bytes from the start."""


def encode(record: bytes, at: float) -> bytes:
    """`record` as an entry.

    Raises:
        ValueError: longer than `MAX_RECORD_BYTES`.
    """
    if len(record) > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(record)} bytes; at most {MAX_RECORD_BYTES} are spooled")
    what = struct.pack("<d", at) + record
    return _SUM.pack(len(record), zlib.crc32(what)) + what


def entries(data: bytes) -> Iterator[Read]:
    """The whole entries at the start of `data`."""
    view, start = memoryview(data), 0
    while start + HEADER_BYTES <= len(view):
        length, checksum, at = _HEADER.unpack_from(view, start)
        end = start + HEADER_BYTES + length
        if length > MAX_RECORD_BYTES or end > len(view):
            return
        if zlib.crc32(view[start + _SUM.size : end]) != checksum:
            return
        yield Read(at, bytes(view[start + HEADER_BYTES : end]), end)
        start = end

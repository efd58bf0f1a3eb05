"""The format of a spool's files: entries one after the other, each with its length and checksum.

`length (4 bytes, little-endian), CRC-32 of the record (4 bytes), record`. Where an entry is not
whole or its checksum is wrong, what comes after it in the file cannot be trusted: it is skipped.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_BYTES = 8
MAX_RECORD_BYTES = 16 << 20
"""A greater length is damage, not a record."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds."""

    ends: tuple[int, ...]
    """Where each whole entry ends, in bytes from the start."""
    damaged: bool
    """Something follows them that is no whole entry."""


def encode(record: bytes) -> bytes:
    """`record` as an entry.

    Raises:
        ValueError: longer than `MAX_RECORD_BYTES`.
    """
    if len(record) > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(record)} bytes; at most {MAX_RECORD_BYTES} are spooled")
    return b"".join(
        (len(record).to_bytes(4, "little"), zlib.crc32(record).to_bytes(4, "little"), record)
    )


def entries(data: bytes) -> Iterator[bytes]:
    """The records of the whole entries at the start of `data`."""
    view, start = memoryview(data), 0
    while start + HEADER_BYTES <= len(view):
        length = int.from_bytes(view[start : start + 4], "little")
        end = start + HEADER_BYTES + length
        if length > MAX_RECORD_BYTES or end > len(view):
            return
        record = bytes(view[start + HEADER_BYTES : end])
        if zlib.crc32(record) != int.from_bytes(view[start + 4 : start + 8], "little"):
            return
        yield record
        start = end


def scan(data: bytes) -> Scan:
    """Where the entries of a file end, and whether it is damaged."""
    ends, end = [], 0
    for record in entries(data):
        end += HEADER_BYTES + len(record)
        ends.append(end)
    return Scan(tuple(ends), damaged=end != len(data))

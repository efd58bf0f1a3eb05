"""Where records are in an object store: the names of objects. Pure.

`namespace=NS/model=OBSERVED_MODEL/version=V/date=YYYY-MM-DD/hour=HH/TIME-HASH.jsonl.zst`

Rules:
1. A record's place follows from itself alone: its origin, and when it began (UTC).
2. Values are escaped as in URLs, so that no name climbs out of its place or makes a second one:
   all but letters, digits, `-`, `_` and dots that do not come first. One that is too long for a
   file's name is cut, and told apart by its hash. One that is empty is `unknown`.
3. An object's name follows from the records in it: the same batch, sent twice, is one object, and
   pods do not write over each other's, as no two records have one id.
"""

import hashlib
import time
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from sidelight_sidecar.capture.sinks.heading import Heading, read_heading

SUFFIX = ".jsonl.zst"
UNKNOWN = "unknown"
MAX_VALUE_CHARACTERS = 128
_HASH_CHARACTERS = 32
_LAST_SECOND = 253_402_300_799


def objects(records: Sequence[bytes]) -> dict[str, list[bytes]]:
    """By name, the records that belong into that object, in order.

    Raises:
        ValueError: one of them is no record.
    """
    places: dict[str, list[tuple[Heading, bytes]]] = {}
    for record in records:
        try:
            heading = read_heading(record)
        except msgspec.DecodeError:
            raise ValueError("not a record") from None
        places.setdefault(partition(heading), []).append((heading, record))
    return {
        f"{place}/{_name([heading for heading, _ in found])}": [record for _, record in found]
        for place, found in places.items()
    }


def partition(heading: Heading) -> str:
    """The place of a record's object."""
    began = time.gmtime(_seconds(heading))
    origin = heading.origin
    return "/".join(
        (
            f"namespace={escape(origin.namespace)}",
            f"model={escape(origin.observed_model)}",
            f"version={escape(origin.version)}",
            time.strftime("date=%Y-%m-%d/hour=%H", began),
        )
    )


def escape(value: str) -> str:
    """`value` as a part of a name."""
    escaped = quote(value.encode("utf-8", "replace"), safe="").replace("~", "%7E")
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if len(escaped) > MAX_VALUE_CHARACTERS:
        kept = escaped[: MAX_VALUE_CHARACTERS - _HASH_CHARACTERS - 1]
        escaped = f"{kept}~{_hash(value)}"
    return escaped or UNKNOWN


def _name(headings: Sequence[Heading]) -> str:
    began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(_seconds(headings[0])))
    return f"{began}-{_hash(chr(10).join(heading.id for heading in headings))}{SUFFIX}"


def _seconds(heading: Heading) -> int:
    return min(max(heading.times.start_unix_ns // 1_000_000_000, 0), _LAST_SECOND)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return digest[:_HASH_CHARACTERS]

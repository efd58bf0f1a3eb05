"""How many messages an export of spans would become in memory, before it is parsed: two bytes of
the wire are a message of a hundred and more. Pure; what it costs is bounded by the limit.

Only the lengths of nested messages are looked at: what else is wrong is the parser's to say.
"""

from collections.abc import Mapping
from typing import Final

MAX_SPANS = 4096
"""Default 4096: OpenTelemetry's exporters send 512 at once."""
MAX_MESSAGES = 1 << 16
"""Default 65,536: for 512 spans some 60 attributes each, and 10 MB in memory."""
MAX_FIELDS = 1 << 18
"""Default 262,144: a tenth of a second, beside the loop, for one that was made to be slow."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10

_Kind = str
_NESTED: Final[Mapping[_Kind, Mapping[int, _Kind]]] = {
    "request": {1: "resource_spans"},
    "resource_spans": {1: "resource", 2: "scope_spans"},
    "resource": {1: "attribute", 3: "entity"},
    "scope_spans": {1: "scope", 2: "span"},
    "scope": {3: "attribute"},
    "span": {9: "attribute", 11: "event", 13: "link", 15: "leaf"},
    "event": {3: "attribute"},
    "link": {4: "attribute"},
    "attribute": {2: "value"},
    "value": {5: "values", 6: "attributes"},
    "values": {1: "value"},
    "attributes": {1: "attribute"},
    "entity": {3: "leaf", 4: "leaf"},
    "leaf": {},
}
"""Numbers of fields that hold messages, by the kind of message that they are in."""


class WeightError(ValueError):
    """No message, or one of too many. `why` is `malformed` or `too_many`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def spans_in(data: bytes) -> int:
    """How many spans an export holds.

    Raises:
        WeightError: it is none, or has too many.
    """
    spans = messages = fields = 0
    waiting = [(0, len(data), "request")]
    while waiting:
        place, end, kind = waiting.pop()
        nested = _NESTED[kind]
        while place < end:
            fields += 1
            if max(messages - MAX_MESSAGES, spans - MAX_SPANS, fields - MAX_FIELDS) > 0:
                raise WeightError("too_many")
            tag, place = _varint(data, place, end)
            wire = tag & 7
            if wire == _BYTES:
                size, place = _varint(data, place, end)
                inner = nested.get(tag >> 3)
                if inner is not None and place + size <= end:
                    waiting.append((place, place + size, inner))
                    messages += 1
                    spans += inner == "span"
                place += size
            elif wire == _VARINT:
                _, place = _varint(data, place, end)
            elif wire in (_FIXED32, _FIXED64):
                place += 4 if wire == _FIXED32 else 8
            else:
                raise WeightError("malformed")
        if place > end:
            raise WeightError("malformed")
    if max(messages - MAX_MESSAGES, spans - MAX_SPANS) > 0:
        raise WeightError("too_many")
    return spans


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for index in range(place, min(end, place + _MAX_VARINT_BYTES)):
        byte = data[index]
        value |= (byte & 0x7F) << 7 * (index - place)
        if byte < 0x80:
            return value, index + 1
    raise WeightError("malformed")

"""Just enough of protocol buffers to read messages whose schema is known (encoding, wire types).

Varints and length-delimited fields are given out, fixed ones are stepped over; groups, which
nothing has used since proto2, end the reading. Bounded by the message itself, which is bounded by
whoever cut it, and by `MAX_FIELDS`.
"""

from collections.abc import Iterator

MAX_FIELDS = 4096
"""Fields of one message that are read: a response has some tens."""
_MAX_VARINT_BYTES = 10


class ProtobufError(ValueError):
    """Bytes that are no message."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field, in their order.

    Raises:
        ProtobufError: the bytes end inside a field, or have no such form.
    """
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(message):
            return
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ProtobufError("field number 0")
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
        elif kind in (1, 2, 5):
            length = 8 if kind == 1 else 4
            if kind == 2:
                length, at = _varint(message, at)
            end = at + length
            if end > len(message):
                raise ProtobufError("the message ends inside a field")
            if kind == 2:
                yield number, message[at:end]
            at = end
        else:
            raise ProtobufError(f"wire type {kind}")


def text(value: int | bytes, limit: int = 256) -> str:
    """A string field's value, cut to `limit` bytes; empty when it is none."""
    return value[:limit].decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in message[at : at + _MAX_VARINT_BYTES]:
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ProtobufError("a number without an end")

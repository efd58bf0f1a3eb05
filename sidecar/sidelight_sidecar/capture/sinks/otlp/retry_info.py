"""When a gRPC server wants to be asked again: google.rpc.RetryInfo in a google.rpc.Status.

Read by hand: the package with these two messages holds a hundred others.
"""

from collections.abc import Iterator

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

_TYPE = "google.rpc.RetryInfo"
_DETAILS = 3
"""Field of a Status: messages of any type."""
_DELAY = 1
"""Field of a RetryInfo: a Duration."""


def retry_seconds(status: bytes) -> float | None:
    """Seconds that an encoded Status asks for; None: it asks for nothing, or is none."""
    try:
        for detail in _messages(status, _DETAILS):
            found = AnyMessage.FromString(detail)
            if found.type_url.rpartition("/")[2] == _TYPE:
                for delay in _messages(found.value, _DELAY):
                    value = Duration.FromString(delay)
                    return max(0.0, value.seconds + value.nanos / 1e9)
    except (DecodeError, IndexError):
        return None
    return None


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    """Values of a field that is a message, of messages that have numbers and texts beside it."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        field, kind = key >> 3, key & 7
        size, at = _number(data, at)
        if kind == 0:  # that was its value
            continue
        if kind != 2 or at + size > len(data):
            raise IndexError
        if field == wanted:
            yield data[at : at + size]
        at += size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise IndexError

"""JSON from outside, in bounds: how deep and how many values are known before anything is made.

Rules:
1. Linear in the size of the body, whatever is in it.
2. Of a key that comes twice the last value counts, here as for most servers; what is masked and
   passed on is what was read, so the other value is nowhere.
3. A surrogate without its other half, which JSON can spell and UTF-8 cannot, is read as U+FFFD.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.limits import Limits

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or the rest where one does not end: it always matches, and never goes back."""
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|([\[\]{}])', re.DOTALL)
_STRETCH = re.compile(rb'(?:[^"]*+"[^"\\]*+(?:\\.[^"\\]*+)*+"?+){1,4096}+', re.DOTALL)
"""Some strings and what is before them: bodies are measured by stretches, to keep no list."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def read_json(data: bytes, limits: Limits) -> Json:
    """The value.

    Raises:
        DroppedError: it is no JSON, or beyond the limits.
    """
    _measure(data, limits)
    data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        value: Json = msgspec.json.decode(data)
    except RecursionError:
        raise DroppedError(Dropped.TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _without_surrogates(data)
    return value


def object_at_start(data: bytes) -> bytes:
    """The object that bytes begin with, whatever comes after it; empty if there is none.

    Triton's tensors follow their JSON as they are, and its length is in a header alone.
    """
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(data):
        bracket = found[1]
        if bracket is not None:
            depth += 1 if bracket in b"[{" else -1
            if depth <= 0:
                return data[: found.end()]
    return b""


def _without_surrogates(data: bytes) -> Json:
    if b"\\ud" not in data and b"\\uD" not in data:
        raise DroppedError(Dropped.NOT_JSON)
    whole = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)
    try:
        value: Json = msgspec.json.decode(whole)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DroppedError(Dropped.NOT_JSON) from None
    return value


def _measure(data: bytes, limits: Limits) -> None:
    """Refuse what has too many values or is too deep."""
    opens = data.count(b"[") + data.count(b"{")
    if opens <= limits.depth and opens + data.count(b",") < limits.values:
        return  # an upper bound, since text has commas too
    values = depth = 0
    for bones in _bones(data):
        opens = bones.count(b"[") + bones.count(b"{")
        values += opens + bones.count(b",")
        if values >= limits.values:
            raise DroppedError(Dropped.TOO_MANY)
        depth, deepest = _depth(bones, depth)
        if deepest > limits.depth:
            raise DroppedError(Dropped.TOO_DEEP)


def _bones(data: bytes) -> Iterator[bytes]:
    """What is outside of the strings, a stretch at a time."""
    position = 0
    while position < len(data):
        stretch = _STRETCH.match(data, position)
        end = stretch.end() if stretch is not None else len(data)
        yield _STRING.sub(b"", data[position:end])
        position = end


_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def _depth(bones: bytes, depth: int) -> tuple[int, int]:
    """How deep it is after them, and at the deepest."""
    deepest = depth
    for bracket in bones.translate(None, _BRACKETS):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return depth, deepest

"""From a body's bytes to what it says: JSON, put together if it is a stream, or text.

Rules:
1. What is neither JSON nor text has no content; of a document that was cut there is none either,
   for escapes and braces would hide what the masker looks for. A stream or a text that was cut
   gives what there is.
2. The content type is believed, but where it says nothing (`application/octet-stream`, curl's
   form) JSON and events are known by how they begin; some servers call their events JSON.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from sidelight_sidecar.capture.content.assemble import Assembled, assemble
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.events import Events, JsonLines
from sidelight_sidecar.capture.content.exchange import Body
from sidelight_sidecar.capture.content.limits import Limits
from sidelight_sidecar.capture.content.media_types import (
    Form,
    form_of,
    media_type,
    readable_charset,
)
from sidelight_sidecar.capture.content.read_json import Json, object_at_start, read_json

_TEXT_APIS = frozenset({"fedml", "takeoff"})
"""APIs that answer with text and may not say so."""
_TENSORS = "kserve"
"""The API that has tensors behind its JSON, as they are; nothing of them is passed on."""
_EVENT_STARTS = (b"data:", b"event:", b":", b"id:")


class Read(NamedTuple):
    """What a body says.

    Attributes:
        value: JSON, or text as a string.
        is_text: it is text, not JSON.
        streamed: it was put together.
        truncated: something is missing.
    """

    value: Json
    is_text: bool = False
    streamed: bool = False
    truncated: bool = False


def read_body(body: Body, dialect: str, limits: Limits, *, answer: bool, masking: bool) -> Read:
    """What a body says; `masking`: what is never passed on masked need not be read.

    Raises:
        DroppedError: nothing that can be passed on.
    """
    data = body.data
    if not data.strip():
        raise DroppedError(Dropped.EMPTY)
    if len(data) > limits.body_bytes:
        raise DroppedError(Dropped.TOO_LARGE)
    form = _form(body, dialect, answer=answer)
    if form is Form.NONE:
        raise DroppedError(Dropped.UNSUPPORTED)
    if form is Form.TEXT:
        return Read(_text(body), is_text=True, truncated=body.cut)
    if form is Form.EVENTS:
        return _stream(body, assemble(dialect, Events(data), limits, masking=masking))
    if form is Form.LINES:
        return _stream(body, assemble(dialect, JsonLines(data), limits, masking=masking))
    return _document(body, dialect, limits, answer=answer, masking=masking)


def _form(body: Body, dialect: str, *, answer: bool) -> Form:
    """How a body is read, with a look at it where its type says nothing."""
    form = form_of(body.content_type)
    if form not in (Form.SHAPELESS, Form.JSON):
        return form
    start = body.data[:64].lstrip()
    if answer and start.startswith(_EVENT_STARTS) and dialect not in _TEXT_APIS:
        return Form.EVENTS
    if form is Form.JSON or start[:1] in (b"{", b"["):
        return Form.JSON
    plain = media_type(body.content_type) == "text/plain"
    return Form.TEXT if plain or (answer and dialect in _TEXT_APIS) else Form.NONE


def _document(body: Body, dialect: str, limits: Limits, *, answer: bool, masking: bool) -> Read:
    data = body.data
    if dialect == _TENSORS:
        data = object_at_start(data) or data
    try:
        value = read_json(data, limits)
    except DroppedError as error:
        if error.reason is not Dropped.NOT_JSON:
            raise
        return _no_document(body, dialect, limits, answer=answer, masking=masking)
    if answer and _is_gemini(value):
        assert isinstance(value, list)
        whole = ((b"", line) for line in _written(value))
        return _stream(body, assemble("", whole, limits, masking=masking))
    return Read(value, truncated=body.cut)


def _no_document(body: Body, dialect: str, limits: Limits, *, answer: bool, masking: bool) -> Read:
    """Lines of JSON that do not say so, text that begins like JSON, or nothing."""
    head, newline, _ = body.data.lstrip().partition(b"\n")
    if answer and newline and head.strip().endswith(b"}"):
        try:
            read_json(head, limits)
        except DroppedError:
            pass
        else:
            return _stream(body, assemble(dialect, JsonLines(body.data), limits, masking=masking))
    if body.cut:
        raise DroppedError(Dropped.CUT)
    if media_type(body.content_type) == "text/plain" or (answer and dialect in _TEXT_APIS):
        return Read(_text(body), is_text=True)
    raise DroppedError(Dropped.NOT_JSON)


def _stream(body: Body, assembled: Assembled) -> Read:
    return Read(assembled.value, streamed=True, truncated=body.cut or not assembled.whole)


def _text(body: Body) -> str:
    if b"\0" in body.data or not readable_charset(body.content_type):
        raise DroppedError(Dropped.NOT_TEXT)
    return body.data.decode("utf-8", "replace")


def _is_gemini(value: Json) -> bool:
    """A stream that is written as one list."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(one, dict) and "candidates" in one for one in value)
    )


def _written(value: list[Json]) -> Iterator[bytes]:
    for one in value:
        yield msgspec.json.encode(one)

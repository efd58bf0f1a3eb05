"""Content: the bodies of an exchange as they may be passed on.

Rules:
1. Each body stands for itself: where one is dropped, the other is not.
2. Whatever raises, the body is dropped with a reason; an error is never a way out for content.
3. Canonical messages are made of what was masked, never of what came in.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from sidelight_sidecar.capture.content.canonical import Messages, messages_of
from sidelight_sidecar.capture.content.drop import left_out
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.exchange import Bodies, Body
from sidelight_sidecar.capture.content.limits import DEFAULT, Limits
from sidelight_sidecar.capture.content.masker import TextMasker
from sidelight_sidecar.capture.content.media_types import media_type
from sidelight_sidecar.capture.content.read_json import Json
from sidelight_sidecar.capture.content.reading import Read, read_body
from sidelight_sidecar.capture.content.rules import KEEP_ALL, Rules
from sidelight_sidecar.capture.content.text import Texts
from sidelight_sidecar.capture.content.walk import Walker


class Kind(enum.StrEnum):
    """What a body is passed on as."""

    JSON = "json"
    TEXT = "text"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Content:
    """A body that may be passed on.

    Attributes:
        kind: what it is.
        body: JSON or text in UTF-8; empty where there is none.
        size_bytes: what came in, as far as it was kept.
        media_type: what it says it is, without parameters; empty if it does not say.
        streamed: it came as a stream, and was put together.
        truncated: something is missing at its end.
        dropped: why there is none.
    """

    kind: Kind
    body: bytes
    size_bytes: int
    media_type: str
    streamed: bool = False
    truncated: bool = False
    dropped: Dropped | None = None


@dataclass(frozen=True, slots=True)
class Captured:
    """What may be passed on of an exchange.

    Attributes:
        request: the request's body.
        answer: the answer's.
        messages: canonical messages of both.
        findings: how often each detector found something, in both bodies.
    """

    request: Content
    answer: Content
    messages: Messages
    findings: Mapping[str, int]


def capture(
    bodies: Bodies,
    masker: TextMasker | None,
    rules: Rules = KEEP_ALL,
    limits: Limits = DEFAULT,
    *,
    messages: bool = True,
) -> Captured:
    """What may be passed on of an exchange; it never raises.

    Args:
        bodies: the exchange's.
        masker: None passes content on as it is (`Full`).
        rules: what is left out in any case.
        limits: how much is read.
        messages: make canonical ones; they can be made later, too, of the masked bodies.
    """
    texts = Texts(masker, rules, limits)
    walker = Walker(texts, limits)
    request, asked = _content(bodies.request, bodies.dialect, walker, rules, limits, answer=False)
    answer, said = _content(bodies.answer, bodies.dialect, walker, rules, limits, answer=True)
    found = Messages()
    if messages:
        try:
            found = messages_of(bodies.dialect, asked, said, truncated=answer.truncated)
        except Exception:  # noqa: BLE001 - rule 2: of a body that nobody understands are none
            found = Messages()
    return Captured(request, answer, found, dict(texts.findings))


def _content(
    body: Body, dialect: str, walker: Walker, rules: Rules, limits: Limits, *, answer: bool
) -> tuple[Content, Json]:
    """A body as it may be passed on, and what it says then."""
    kind = media_type(body.content_type)
    try:
        read = read_body(body, dialect, limits, answer=answer, masking=walker.masking)
        value = walker.body(left_out(read.value, rules), answer=answer)
        written = _written(read, value, limits)
    except DroppedError as error:
        return _nothing(body, kind, error.reason), None
    except RecursionError:
        return _nothing(body, kind, Dropped.TOO_DEEP), None
    except Exception:  # noqa: BLE001 - rule 2: the masker's errors, and any of ours
        return _nothing(body, kind, Dropped.FAILED), None
    content = Content(
        Kind.TEXT if read.is_text else Kind.JSON,
        written,
        len(body.data),
        kind,
        read.streamed,
        read.truncated,
    )
    return content, value


def _written(read: Read, value: Json, limits: Limits) -> bytes:
    if read.is_text:
        assert isinstance(value, str)
        written = value.encode()
    else:
        written = msgspec.json.encode(value)
    if len(written) > limits.out_bytes:
        raise DroppedError(Dropped.TOO_LARGE)
    return written


def _nothing(body: Body, kind: str, reason: Dropped) -> Content:
    return Content(Kind.NONE, b"", len(body.data), kind, truncated=body.cut, dropped=reason)

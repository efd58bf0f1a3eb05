"""From bodies as they passed to bodies as they may be passed on: decoded, put together, masked."""

import msgspec

from sidelight_contract.capture import CaptureSettings, Part, Pattern, Payloads
from sidelight_sidecar.capture.content.content import Content, Kind, capture
from sidelight_sidecar.capture.content.exchange import Bodies
from sidelight_sidecar.capture.content.exchange import Body as Passed
from sidelight_sidecar.capture.content.limits import DEFAULT
from sidelight_sidecar.capture.content.media_types import media_type
from sidelight_sidecar.capture.content.remember import Remembering
from sidelight_sidecar.capture.content.rules import Rules
from sidelight_sidecar.capture.mask.registry import DETECTORS
from sidelight_sidecar.capture.mask.text import TextMasker
from sidelight_sidecar.capture.recorder import Redacted, Redactor
from sidelight_sidecar.capture.tensors import as_json
from sidelight_sidecar.capture.words import Words
from sidelight_sidecar.coding import CodingError, decoder_for
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Body

SETTINGS_REFUSED = "settings_refused"
MAX_REFUSED = 300
NO_CONTENT = Body().content


class Redaction:
    """Masks by one set of settings.

    Raises:
        ValueError: a pattern of the user's own cannot be used, or a detector is not known.
    """

    refused = ""

    def __init__(self, settings: CaptureSettings) -> None:
        redaction = settings.redaction
        self._rules = Rules(
            system_prompts=Part.SYSTEM_PROMPTS in redaction.drop,
            tool_results=Part.TOOL_RESULTS in redaction.drop,
            tool_definitions=Part.TOOL_DEFINITIONS in redaction.drop,
            media=Part.MEDIA in redaction.drop,
            max_characters=redaction.first_characters,
        )
        unknown = set(redaction.without) - set(DETECTORS)
        if unknown:
            raise ValueError(f"no such detectors: {', '.join(sorted(unknown))}")
        wanted = [name for name in DETECTORS if name not in redaction.without]
        patterns = [(_named(own), own.pattern) for own in redaction.patterns]
        masked = settings.payloads is not Payloads.FULL
        masker = TextMasker(wanted, patterns) if masked else None
        self._masker = Remembering(masker) if masker is not None else None
        self.words = Words(self._masker)

    def __call__(self, captured: Captured) -> Redacted:
        """See the module."""
        sides = (captured.request, captured.response)
        bodies = Bodies(captured.record.api, *(_decoded(side) for side in sides))
        found = capture(bodies, self._masker, self._rules, messages=False)
        return Redacted(
            _body(captured.request, found.request),
            _body(captured.response, found.answer),
            found.findings,
        )


class LeaveOut:
    """Passes no payload on: nobody can say what is to be masked."""

    def __init__(self, refused: str) -> None:
        self.refused = refused[:MAX_REFUSED]
        self.words = Words(TextMasker())

    def __call__(self, captured: Captured) -> Redacted:
        """No payload."""
        return Redacted(_without(captured.request), _without(captured.response))


def _named(own: Pattern) -> str:
    """As detectors are named: `ORDER_ID` is what `order-id` is replaced by."""
    return own.name.lower().replace("_", "-")


def _without(payload: Payload) -> Body:
    return Body(media_type(payload.media_type), payload.size, left_out=SETTINGS_REFUSED)


def redactor_for(settings: CaptureSettings) -> Redactor:
    """What masks by these settings; where they are wrong, one that leaves all out and says why."""
    try:
        return Redaction(settings)
    except ValueError as error:
        return LeaveOut(str(error))


def _decoded(payload: Payload) -> Passed:
    """The body without its coding, and with its tensors in its JSON."""
    passed = _without_coding(payload)
    if not payload.json_bytes:
        return passed
    told = as_json(passed.data, payload.json_bytes)
    # What is not as it says stays what it is, no JSON: nobody knows what else.
    return Passed(passed.data if told is None else told, "application/json", passed.cut)


def _without_coding(payload: Payload) -> Passed:
    """As far as that can be undone: what cannot be is as if cut."""
    cut = not payload.ended or payload.size > len(payload.data)
    if not payload.coding:
        return Passed(payload.data, payload.media_type, cut)
    decoded = bytearray()
    try:
        decoder = decoder_for(payload.coding.encode())
        for piece in decoder.feed(payload.data) if decoder is not None else (payload.data,):
            decoded += piece
            if len(decoded) > DEFAULT.body_bytes:
                break  # `capture` drops what is longer
    except CodingError:
        return Passed(bytes(decoded), payload.media_type, True)
    return Passed(bytes(decoded), payload.media_type, cut)


def _body(payload: Payload, content: Content) -> Body:
    text = content.kind is Kind.TEXT
    value = msgspec.json.encode(content.body.decode()) if text else content.body
    # Nothing is no JSON: the default alone is left out of a record, not what is only like it.
    kept = msgspec.Raw(value) if value else NO_CONTENT
    return Body(
        media_type=content.media_type,
        bytes=payload.size,
        content=kept,
        left_out=content.dropped.value if content.dropped else "",
        text=text,
        truncated=content.truncated,
    )

"""From an exchange that was handed over to a record that waits for the sinks. Time is given.

Rules:
1. Masking comes before anything else is done with a payload. What cannot be masked is left out, and
   the record says so; a record without its payload is still a record.
2. A fault of ours in masking leaves the payload out (`fault`), too: nothing passes unmasked.
3. A record that the spool has no room for is dropped, and counted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from sidelight_sidecar.capture.content.media_types import media_type
from sidelight_sidecar.capture.spool.queue import Spool
from sidelight_sidecar.capture.words import Words
from sidelight_sidecar.records.handover import Captured, CaptureState, Payload, SinkState
from sidelight_sidecar.records.record import Body, Record, encode_record

FAULT = "fault"
SPOOL_FULL = "larger_than_spool"


class Redacted(NamedTuple):
    """What may be passed on of an exchange."""

    request: Body
    response: Body
    findings: Mapping[str, int] = {}


class Redactor(Protocol):
    """Masks the bodies of one exchange."""

    @property
    def refused(self) -> str:
        """Why the settings cannot be used; empty: they can."""

    @property
    def words(self) -> Words:
        """Which words of a record are passed on."""

    def __call__(self, captured: Captured) -> Redacted:
        """Return what may be passed on."""


@dataclass(slots=True)
class Counts:
    """Since the process began."""

    records: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)


class Recorder:
    """Makes records.

    Args:
        redact: masks bodies.
        spool: where records wait.
        added: is told the size of each that waits.
    """

    def __init__(self, redact: Redactor, spool: Spool, added: Callable[[int], None]) -> None:
        self._redact = redact
        self._spool = spool
        self._added = added
        self.counts = Counts()

    def take(self, captured: Captured, unix_seconds: float) -> None:
        """Make a record of an exchange, at a time."""
        line = encode_record(self._record(captured))
        if not self._spool.append(line, unix_seconds):
            _count(self.counts.dropped, SPOOL_FULL)
            return
        self.counts.records += 1
        self._added(len(line))

    def _record(self, captured: Captured) -> Record:
        record = self._redact.words.passed_on(captured.record)
        if record.payloads == "Off":
            return record
        try:
            redacted = self._redact(captured)
        except Exception:  # noqa: BLE001 - see rule 2; what it says could hold what was to be masked
            redacted = Redacted(_left_out(captured.request), _left_out(captured.response))
        for body in (redacted.request, redacted.response):
            if body.left_out:
                _count(self.counts.left_out, body.left_out)
        for detector, count in redacted.findings.items():
            _count(self.counts.findings, detector, count)
        return msgspec.structs.replace(
            record,
            request=redacted.request,
            response=redacted.response,
            findings=dict(redacted.findings),
        )

    def state(self, sinks: Iterable[tuple[str, SinkState]], damaged: int) -> CaptureState:
        """How it does."""
        counts = self.counts
        return CaptureState(
            records=counts.records,
            dropped=counts.dropped,
            left_out=counts.left_out,
            findings=counts.findings,
            refused=self._redact.refused,
            spool_bytes=self._spool.size,
            spool_damaged=damaged,
            sinks=dict(sinks),
        )


def _left_out(payload: Payload) -> Body:
    kind = media_type(payload.media_type)
    return Body(media_type=kind, bytes=payload.size, left_out=FAULT)


def _count(counts: dict[str, int], name: str, more: int = 1) -> None:
    counts[name] = counts.get(name, 0) + more

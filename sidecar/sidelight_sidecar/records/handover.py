"""What passes between the observer and the capture process, over a socketpair.

Messages in both directions: length of the body (5 bytes, big-endian), body (MessagePack, with its
type). Both ends are of one release, so there is no version.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import ExportSettings
from sidelight_sidecar.records.metrics import Snapshot
from sidelight_sidecar.records.record import Origin, Record

HEADER_BYTES = 5
MAX_MESSAGE_BYTES = 20 << 20
"""More is no message: two bodies at their limit, and the record."""


class Payload(msgspec.Struct, omit_defaults=True, frozen=True):
    """One side's body as it passed, not masked yet."""

    data: bytes = b""
    media_type: str = ""
    coding: str = ""
    """Its `Content-Encoding`."""
    size: int = 0
    """Bytes that passed; more than `data` where it is cut."""
    ended: bool = True
    """All of it passed."""
    json_bytes: int = 0
    """What comes behind so many is binary tensors; 0: there is none."""


class Settings(msgspec.Struct, frozen=True, tag="settings"):
    """To the capture process: what is in force from now on."""

    capture: CaptureSettings
    export: ExportSettings
    origin: Origin


class Captured(msgspec.Struct, frozen=True, tag="captured"):
    """To the capture process: an exchange that is to become a record."""

    record: Record
    """Without bodies."""
    request: Payload
    response: Payload


class MetricsState(msgspec.Struct, omit_defaults=True, frozen=True):
    """How a sink does that is sent metrics, too. Counts are of snapshots, since the process
    began.
    """

    delivered: int = 0
    partial: int = 0
    """Of which the sink would not have all."""
    failed: int = 0
    """That it did not have; the next one says all that they said."""
    down: bool = False
    """Several failed in a row."""
    why: str = ""
    """Why the last one failed, in a few words of ours."""


class SpansState(msgspec.Struct, omit_defaults=True, frozen=True):
    """How a sink does that engine's spans are passed on to. Counts are of spans, since the process
    began.
    """

    delivered: int = 0
    refused: int = 0
    lost: int = 0
    """That went for want of room before the sink had them."""


class SinkState(msgspec.Struct, omit_defaults=True, frozen=True):
    """How one sink does. Counts are since the process began."""

    kind: str = ""
    delivered: int = 0
    refused: int = 0
    lost: int = 0
    """Records that went before the sink had them: for the limit, or too old."""
    waiting: int = 0
    lag_seconds: float = 0.0
    down: bool = False
    why: str = ""
    """Why the last try failed, in a few words of ours."""
    metrics: MetricsState | None = None
    """None: it wants none."""
    engine_spans: SpansState | None = None
    """None: it wants none."""


class CaptureState(msgspec.Struct, omit_defaults=True, frozen=True, tag="state"):
    """From the capture process, once a second: how it does."""

    records: int = 0
    """Records made, since the process began."""
    dropped: dict[str, int] = {}
    """Records that were not spooled, by reason."""
    left_out: dict[str, int] = {}
    """Bodies without content, by reason."""
    findings: dict[str, int] = {}
    """What was masked, by detector."""
    refused: str = ""
    """Why the settings cannot be used: then no payload is recorded."""
    spool_bytes: int = 0
    spool_damaged: int = 0
    spool_failed: str = ""
    """Why records wait in memory although they were to wait on disk."""
    sinks: dict[str, SinkState] = {}
    engine_exports: dict[str, int] = {}
    """Exports of engine's spans that came, by what became of them."""
    engine_spans_taken: bool | None = None
    """Whether the engine can send spans; None: no sink wants any."""


class HandoverError(ValueError):
    """What came is no message of this format."""


_encoder = msgspec.msgpack.Encoder()
_Message = TypeVar("_Message")


def encode(message: msgspec.Struct) -> bytes:
    """`message`, ready to be sent."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


ToCapture = Settings | Captured | Snapshot


def to_capture() -> "Messages[ToCapture]":
    """Reads what the observer sends."""
    return Messages(msgspec.msgpack.Decoder(ToCapture))


def to_observer() -> "Messages[CaptureState]":
    """Reads what the capture process sends."""
    return Messages(msgspec.msgpack.Decoder(CaptureState))


class Messages(Generic[_Message]):
    """Cuts a stream of bytes into messages."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[_Message]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[_Message]:
        """The messages that `data` completes.

        Raises:
            HandoverError: too long, or not of this format.
        """
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            length = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if length > MAX_MESSAGE_BYTES:
                raise HandoverError(f"a message of {length} bytes")
            if len(self._buffer) < HEADER_BYTES + length:
                return
            end = HEADER_BYTES + length
            try:
                with memoryview(self._buffer) as whole, whole[HEADER_BYTES:end] as body:
                    message = self._decoder.decode(body)
            except msgspec.DecodeError as error:
                raise HandoverError(str(error)) from error
            finally:
                del self._buffer[:end]
            yield message

"""A fuzzer's input: any bytes at all are frames of some flows, and any frames are bytes.

One byte of settings; then records of six bytes and a payload: kind, flow, time since the record
before, and three bytes of length. What is cut off, or claims to be longer than what is there, is
taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame

KINDS = b"scOXCSRGT"
FLOWS = 8
MS = 1_000_000
STEPS_NS = (
    MS, 0, 1_000, 50_000, 10 * MS, 20 * MS, 100 * MS, 1000 * MS, 2500 * MS, 30_000 * MS,
    121_000 * MS, 400_000 * MS, -1, -5 * MS, 1 << 58,
)  # fmt: skip
"""Times between frames; a clock that goes back is not meant to exist, and must not hurt."""
ENGINES = ("Auto", "VLLM", "SGLang", "TGI", "LlamaCpp", "Ollama", "Triton", "MAX")
MAX_RECORDS = 4096


class Settings(NamedTuple):
    """What an input's first byte says."""

    keep_text: bool
    engine: str
    poor: bool
    """A budget of 64 KiB."""
    few_models: bool

    @classmethod
    def of(cls, byte: int) -> Settings:
        """Read it."""
        return cls(bool(byte & 1), ENGINES[byte >> 1 & 7], bool(byte & 16), bool(byte & 32))


class Record(NamedTuple):
    """One frame, not yet with its time."""

    kind: int
    flow: int
    step: int
    """Index of `STEPS_NS`."""
    payload: bytes


def encode(settings: int, records: Iterable[Record]) -> bytes:
    """The input that means these records."""
    parts = [bytes([settings])]
    for kind, flow, step, payload in records:
        head = bytes([KINDS.index(kind), flow, step])
        parts.append(head + len(payload).to_bytes(3, "big") + payload)
    return b"".join(parts)


def decode(data: bytes) -> tuple[int, list[Record]]:
    """Settings and records of any bytes."""
    records: list[Record] = []
    at = 1
    while at < len(data) and len(records) < MAX_RECORDS:
        kind, flow, step = data[at], data[at + 1 : at + 2], data[at + 2 : at + 3]
        length = int.from_bytes(data[at + 3 : at + 6], "big")
        payload = data[at + 6 : at + 6 + length]
        records.append(
            Record(
                KINDS[kind % len(KINDS)],
                (flow[0] if flow else 0) % FLOWS,
                (step[0] if step else 0) % len(STEPS_NS),
                payload,
            )
        )
        at += 6 + length
    return (data[0] if data else 0), records


def frames_of(records: Iterable[Record]) -> list[Frame]:
    """The frames; reads are no longer than the codec allows."""
    frames: list[Frame] = []
    at_ns = MS
    for kind, flow, step, payload in records:
        at_ns = max(1, min(at_ns + STEPS_NS[step], 1 << 62))
        delay = 50_000 if kind in (codec.CLIENT_BYTES, codec.ENGINE_BYTES) else codec.NO_DELAY
        frames.append((flow, kind, at_ns, delay, payload[: codec.MAX_PAYLOAD_BYTES]))
    return frames


def records_of(frames: Iterable[Frame]) -> list[Record]:
    """Frames as records, their times to the nearest step."""
    records: list[Record] = []
    before = 0
    for flow, kind, at_ns, _, payload in frames:
        gap = at_ns - before if before else MS
        before = at_ns
        step = min(range(len(STEPS_NS)), key=lambda index: abs(STEPS_NS[index] - gap))
        records.append(Record(kind, flow % FLOWS, step, payload))
    return records

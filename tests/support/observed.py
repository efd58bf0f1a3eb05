"""Frames as a relay would send them, and what a pipeline makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sidelight_contract.config import SidecarConfig
from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.codec import Frame
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.flows.opaque import FAULT
from sidelight_sidecar.observer.pipeline import Pipeline

MS = 1_000_000
FLOW = 7


class Kept:
    """A consumer that keeps what it is told."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.dropped_exchanges: list[Exchange] = []
        self.counted_exchanges: list[Exchange] = []
        self.gaps: list[float] = []

    def started(self, exchange: Exchange) -> None:
        """Nothing to keep."""

    def arrived(self, exchange: Exchange, gaps: Sequence[float]) -> None:
        """Keep the gap."""
        self.gaps.extend(gaps)

    def dropped(self, exchange: Exchange) -> None:
        """Keep it apart."""
        self.dropped_exchanges.append(exchange)

    def finished(self, exchange: Exchange) -> None:
        """Keep it."""
        self.exchanges.append(exchange)

    def counted(self, exchange: Exchange) -> None:
        """Keep it apart."""
        self.counted_exchanges.append(exchange)


class Script:
    """A flow's frames, each 10 ms after the one before unless said otherwise."""

    def __init__(self, flow: int = FLOW, at_ms: float = 0) -> None:
        self.flow = flow
        self.at_ms = at_ms
        self.frames: list[Frame] = []
        self.add(codec.OPEN, b'{"client":"a:1","engine":"b:2"}', after_ms=0)

    def add(
        self, kind: int, payload: bytes = b"", *, after_ms: float = 10, delay_ns: int = 50_000
    ) -> Script:
        """One frame."""
        self.at_ms += after_ms
        self.frames.append((self.flow, kind, int(self.at_ms * MS), delay_ns, payload))
        return self

    def client(self, payload: bytes, *, after_ms: float = 10) -> Script:
        """Bytes of the client."""
        return self.add(codec.CLIENT_BYTES, payload, after_ms=after_ms)

    def engine(self, *payloads: bytes, after_ms: float = 10) -> Script:
        """Bytes of the engine, a read each."""
        for payload in payloads:
            self.add(codec.ENGINE_BYTES, payload, after_ms=after_ms)
        return self

    def close(self) -> Script:
        """Both sides end."""
        return self.add(codec.CLIENT_EOF).add(codec.ENGINE_EOF).add(codec.CLOSED)

    def encoded(self) -> bytes:
        """The frames as bytes."""
        return b"".join(codec.encode(*frame) for frame in self.frames)


def pipeline_of(kept: Kept, **settings: object) -> Pipeline:
    """A pipeline that began at zero."""
    return Pipeline(0, 1_700_000_000_000_000_000, SidecarConfig(version=1, **settings), kept)  # type: ignore[arg-type]


def observed(frames: Iterable[Frame] | Script) -> Kept:
    """What came of the frames; an error in the observer's own code fails the test."""
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(list(frames.frames if isinstance(frames, Script) else frames))
    assert not faults(pipeline)
    return kept


def faults(pipeline: Pipeline) -> int:
    """Connections that an error in the observer's own code put an end to."""
    counts = pipeline.flows.opaque.counts
    return sum(count for (_, reason), count in counts.items() if reason == FAULT)


def opaque(frames: Iterable[Frame] | Script) -> dict[tuple[str, str], int]:
    """The connections of which the frames cannot be read: how many, by kind and reason."""
    pipeline = pipeline_of(Kept())
    pipeline.feed(list(frames.frames if isinstance(frames, Script) else frames))
    return dict(pipeline.flows.opaque.counts)


def only(kept: Kept) -> Exchange:
    """The one exchange."""
    assert len(kept.exchanges) == 1, kept.exchanges
    return kept.exchanges[0]


def request(body: bytes = b'{"stream":true}', path: str = "/v1/chat/completions") -> bytes:
    """A POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(body: object, status: int = 200, headers: Sequence[str] = ()) -> bytes:
    """A response with a length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", *headers]
    return ("\r\n".join(lines) + f"\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value: object) -> bytes:
    """One SSE event in an HTTP chunk."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return chunk(b"data: " + data + b"\n\n")


def delta(
    finish: str | None = None, *, index: int = 0, usage: object = None, **fields: object
) -> bytes:
    """One chat chunk."""
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    body: dict[str, object] = {"id": "chatcmpl-1", "model": "m", "choices": [choice]}
    if usage is not None:
        body["usage"] = usage
    return event(body)


def usage(prompt: int, output: int, **details: object) -> dict[str, object]:
    """OpenAI's usage."""
    return {"prompt_tokens": prompt, "completion_tokens": output, **details}


def usage_event(*counts: int, **details: object) -> bytes:
    """The last chunk with include_usage."""
    return event({"model": "m", "choices": [], "usage": usage(*counts, **details)})


DONE = event(b"[DONE]")
CHAT_STREAM = (
    STREAM_HEAD,
    delta(role="assistant", content=None),
    delta(content="Hel"),
    delta(content="lo\u2028"),
    delta(content=" you"),
    delta("stop"),
    usage_event(11, 3, prompt_tokens_details={"cached_tokens": 4}),
    DONE + STREAM_END,
)

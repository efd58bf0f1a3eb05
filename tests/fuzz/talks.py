"""What the fuzzer begins with: a request and its answer in every API, and how they go on the wire.

A `Talk` is mutated before it is put on the wire, so that a changed body still has a right length,
a right coding and right chunks, and reaches the dialects. Recorded frames are mutated as they are.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import h2.config
import h2.connection
from grpc_calls import field as proto
from grpc_calls import framed, infer_response, raw_text, streamed, tensor
from inputs import Record, records_of

from sidelight_sidecar.coding import zstd
from sidelight_sidecar.frames import codec
from sidelight_sidecar.frames.file import FrameFileReader

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "frames"
OPENED = b'{"client":"a:1","engine":"b:2"}'


@dataclass
class Talk:
    """One request and its answer."""

    path: str
    asked: bytes
    parts: list[bytes]
    """Events, lines, messages, or pieces of a document."""
    style: str = "document"
    """`sse`, `named` (each part is `event\\0data`), `lines`, `grpc`, `document`."""
    method: str = "POST"
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    request_headers: list[tuple[str, str]] = field(default_factory=list)
    coding: str = ""
    framing: str = "chunked"
    """`chunked`, `length`, `eof`; for the request `chunked` means that too."""
    http2: bool = False
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def body(self) -> list[bytes]:
        """The answer's body, as the engine flushes it, with its coding."""
        pieces = [_styled(self.style, part) for part in self.parts]
        return coded(self.coding, pieces)


def _styled(style: str, part: bytes) -> bytes:
    if style == "sse":
        return b"data: " + part + b"\n\n"
    if style == "named":
        name, _, data = part.partition(b"\0")
        return b"event: " + name + b"\ndata: " + data + b"\n\n"
    if style == "lines":
        return part + b"\n"
    return framed(part) if style == "grpc" else part


def coded(coding: str, pieces: list[bytes]) -> list[bytes]:
    """The pieces in a content coding, each flushed."""
    if coding in ("gzip", "deflate"):
        deflater = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        out = [deflater.compress(one) + deflater.flush(zlib.Z_SYNC_FLUSH) for one in pieces]
        return [*out, deflater.flush()]
    if coding == "br":
        packer = brotli.Compressor(quality=4, lgwin=18)
        out = [packer.process(one) + packer.flush() for one in pieces]
        return [*out, packer.finish()]
    if coding == "zstd":
        zipper = zstd.ZstdCompressor(level=1)
        out = [zipper.compress(one, zstd.ZstdCompressor.FLUSH_BLOCK) for one in pieces]
        return [*out, zipper.flush()]
    if coding == "members":
        return [gzip.compress(one, mtime=0) for one in pieces]
    return pieces


CONTENT_TYPES = {
    "sse": "text/event-stream", "named": "text/event-stream", "lines": "application/x-ndjson",
    "document": "application/json", "grpc": "application/grpc",
}  # fmt: skip


def wire(talk: Talk) -> tuple[list[bytes], list[bytes]]:
    """The reads of both sides in HTTP/1.1."""
    lines = [f"{talk.method} {talk.path} HTTP/1.1", "Host: x"]
    lines += [f"{name}: {value}" for name, value in talk.request_headers]
    chunked = talk.framing == "chunked" and talk.asked and len(talk.asked) % 2
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(talk.asked)}")
    request = [("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")]
    if talk.asked:
        request += [_chunk(talk.asked), b"0\r\n\r\n"] if chunked else [talk.asked]
    return request, _answer(talk)


def _answer(talk: Talk) -> list[bytes]:
    pieces = talk.body()
    lines = [f"HTTP/1.1 {talk.status} X"]
    if "content-type" not in [name.lower() for name, _ in talk.headers]:
        lines.append(f"Content-Type: {CONTENT_TYPES[talk.style]}")
    if talk.coding:
        lines.append(f"Content-Encoding: {'gzip' if talk.coding == 'members' else talk.coding}")
    lines += [f"{name}: {value}" for name, value in talk.headers]
    if talk.framing == "length":
        lines.append(f"Content-Length: {sum(map(len, pieces))}")
    elif talk.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        pieces = [_chunk(piece) for piece in pieces if piece]
        trailers = "".join([f"{name}: {value}\r\n" for name, value in talk.trailers])
        pieces.append(f"0\r\n{trailers}\r\n".encode("utf-8", "replace"))
    return [("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace"), *pieces]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Http2Wire:
    """Both sides of HTTP/2, talk after talk, as `h2` writes them."""

    def __init__(self) -> None:
        lax = {
            "validate_inbound_headers": False, "validate_outbound_headers": False,
            "normalize_outbound_headers": False, "header_encoding": "utf-8",
        }  # fmt: skip
        self._sides = [
            h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, **lax)),
            h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, **lax)),
        ]
        for side in self._sides:
            side.initiate_connection()

    def _flush(self) -> Iterator[tuple[int, bytes]]:
        client, engine = self._sides
        if data := client.data_to_send():
            yield codec.CLIENT_BYTES, data
            engine.receive_data(data)
        if data := engine.data_to_send():
            yield codec.ENGINE_BYTES, data
            client.receive_data(data)

    def talk(self, talk: Talk) -> Iterator[tuple[int, bytes]]:
        """Kind and bytes of each read."""
        client, engine = self._sides
        number = client.get_next_available_stream_id()
        head = [
            (":method", talk.method), (":scheme", "http"), (":authority", "x"),
            (":path", talk.path), *talk.request_headers,
        ]  # fmt: skip
        client.send_headers(number, head, end_stream=not talk.asked)
        for start in range(0, len(talk.asked[:60_000]), 16_000):
            client.send_data(number, talk.asked[start : start + 16_000])
        if talk.asked:
            client.end_stream(number)
        yield from self._flush()
        answer = [(":status", str(talk.status)), *talk.headers]
        answer.append(("content-type", CONTENT_TYPES[talk.style]))
        if talk.coding:
            answer.append(("content-encoding", talk.coding))
        engine.send_headers(number, answer)
        room = 60_000
        for piece in talk.body():
            room -= len(piece)
            if room < 0:
                break
            for start in range(0, len(piece), 16_000):
                engine.send_data(number, piece[start : start + 16_000])
            yield from self._flush()
        if talk.trailers:
            engine.send_headers(number, talk.trailers, end_stream=True)
        else:
            engine.end_stream(number)
        yield from self._flush()


def records(talks: list[Talk], flow: int, *, http2: bool = False) -> list[Record]:
    """One connection with these talks, one after the other."""
    out = [Record(codec.OPEN, flow, 0, OPENED)]
    if http2:
        both = Http2Wire()
        out += [Record(kind, flow, 0, data) for talk in talks for kind, data in both.talk(talk)]
    else:
        for talk in talks:
            up, down = wire(talk)
            out += [Record(codec.CLIENT_BYTES, flow, 0, data) for data in up]
            out += [Record(codec.ENGINE_BYTES, flow, 4, data) for data in down]
    if talks[-1].framing == "eof" and not http2:
        out.append(Record(codec.ENGINE_EOF, flow, 0, b""))
    out.append(Record(codec.CLOSED, flow, 0, b""))
    return out


def recordings() -> list[list[Record]]:
    """The frame files of the other tests."""
    out = []
    for path in sorted(RECORDINGS.glob("*.frames")):
        with path.open("rb") as file:
            out.append(records_of(FrameFileReader(file)))
    return out


def _json(*values: object) -> list[bytes]:
    return [v if isinstance(v, bytes) else json.dumps(v).encode() for v in values]


def _named(*values: tuple[str, object]) -> list[bytes]:
    return [name.encode() + b"\0" + json.dumps(value).encode() for name, value in values]


def _delta(finish: str | None = None, index: int = 0, **delta: object) -> dict[str, object]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


_USAGE = {
    "prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}  # fmt: skip
_STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
_CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}
_TENSOR = tensor("text_output", "BYTES", proto(8, "Hi"))
_GRPC = "/inference.GRPCInferenceService/"


def seeds() -> list[Talk]:
    """A talk or more for each API; new ones each time, for they are changed."""
    chat = _json(
        _delta(role="assistant", content=None), _delta(reasoning_content="hm"),
        _delta(content="Hel"), _delta(content="lo\u2028"), _delta(tool_calls=[_CALL]),
        _delta(index=1, content="B"), _delta("stop"), _delta("stop", index=1),
        {"id": "c1", "model": "m", "choices": [], "usage": _USAGE}, b"[DONE]",
    )  # fmt: skip
    whole = {
        "id": "c", "object": "chat.completion", "model": "m", "usage": _USAGE,
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "Hi", "reasoning": "r", "tool_calls": [_CALL]}}],
    }  # fmt: skip
    text = {"id": "c", "model": "m", "choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    meta = {"id": "i", "prompt_tokens": 4, "completion_tokens": 2, "cached_tokens": 1,
            "finish_reason": {"type": "length", "length": 2}}  # fmt: skip
    timings = {"cache_n": 2, "prompt_n": 3, "predicted_n": 2, "prompt_ms": 1.5}
    response = {
        "id": "r", "model": "m", "status": "completed", "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
            {"type": "function_call", "name": "f", "arguments": "{}"}],
        "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11,
                  "input_tokens_details": {"cached_tokens": 1},
                  "output_tokens_details": {"reasoning_tokens": 2}},
    }  # fmt: skip
    message = {
        "type": "message", "id": "msg", "model": "m", "stop_reason": "tool_use",
        "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Hi"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        "usage": {"input_tokens": 5, "output_tokens": 6, "cache_read_input_tokens": 2},
    }  # fmt: skip
    infer = {
        "model_name": "m",
        "model_version": "1",
        "id": "x",
        "outputs": [
            {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": ["Hi"]},
            {"name": "num_output_tokens", "datatype": "INT32", "shape": [1], "data": [2]},
        ],
    }
    traced = [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")]
    return [
        Talk("/v1/chat/completions", _STREAM, chat, "sse", request_headers=traced),
        Talk("/openai/v1/chat/completions", b"{}", _json(whole), framing="length"),
        Talk("/v1/completions", _STREAM, _json(text, text, b"[DONE]"), "sse", framing="eof"),
        Talk("/v1/responses", _STREAM, _named(
            ("response.created", {"type": "response.created", "response": response}),
            ("response.output_item.added",
             {"type": "response.output_item.added", "item": {"type": "function_call"}}),
            ("response.reasoning_text.delta",
             {"type": "response.reasoning_text.delta", "delta": "x"}),
            ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "x"}),
            ("response.completed", {"type": "response.completed", "response": response}),
        ), "named"),
        Talk("/v1/responses", b"{}", _json(response), framing="length"),
        Talk("/v1/messages", _STREAM, _named(
            ("message_start", {"type": "message_start", "message": message}),
            ("content_block_start", {"type": "content_block_start", "index": 0,
                                     "content_block": {"type": "tool_use", "id": "t"}}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0,
                                     "delta": {"type": "text_delta", "text": "Hi"}}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0,
                                     "delta": {"type": "thinking_delta", "thinking": "Hi"}}),
            ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                               "usage": {"output_tokens": 9}}),
            ("ping", {"type": "ping"}), ("message_stop", {"type": "message_stop"}),
        ), "named"),
        Talk("/v1/messages", b"{}", _json(message), framing="length"),
        Talk("/v1/embeddings", b"{}", _json(
            {"model": "m", "usage": {"prompt_tokens": 3}, "data": [{"embedding": [0.5, 1]}]})),
        Talk("/api/chat", b"{}", _json(
            {"model": "m", "message": {"role": "assistant", "content": "Hi", "thinking": "t"}},
            {"model": "m", "message": {"tool_calls": [{"function": {"name": "f"}}]}},
            {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": 3,
             "eval_count": 5, "context": [1, 2]}), "lines"),
        Talk("/api/generate", b"{}", _json({"model": "m", "response": "Hi", "done": True})),
        Talk("/api/embed", b"{}", _json({"model": "m", "embeddings": [[1]],
                                         "prompt_eval_count": 3})),
        Talk("/generate", b'{"inputs":"x"}', _json({"generated_text": "Hi", "details": {
            "finish_reason": "length", "generated_tokens": 2, "input_length": 3}})),
        Talk("/generate_stream", b'{"inputs":"x"}', _json(
            {"index": 1, "token": {"id": 1, "text": "Hi", "special": False}},
            {"token": {"id": 2, "text": "!"}, "generated_text": "Hi!",
             "details": {"finish_reason": "eos_token", "generated_tokens": 2}}), "sse"),
        Talk("/generate", b'{"text":"x","sampling_params":{"n":2}}', _json(
            {"text": "H", "meta_info": meta, "index": 0},
            {"text": "Hi", "meta_info": meta, "index": 1}, b"[DONE]"), "sse"),
        Talk("/generate", b'{"input_ids":[1],"sampling_params":{}}', _json(
            [{"text": "H", "meta_info": meta}, {"output_ids": [1], "meta_info": meta}])),
        Talk("/completion", b'{"prompt":"x","n":2}', _json(
            {"content": "H", "index": 0, "stop": False, "tokens_predicted": 1},
            {"content": "", "index": 1, "stop": True, "stop_type": "eos", "model": "m",
             "tokens_evaluated": 5, "tokens_predicted": 2, "timings": timings}), "sse"),
        Talk("/completion", b"{}", _json([{"content": "Hi", "stop": True, "timings": timings}])),
        Talk("/infill", b"{}", _json({"content": "Hi", "stop": True, "tokens_cached": 4})),
        Talk("/v2/models/m/infer", b"{}", _json(infer), framing="length"),
        Talk("/v2/models/m/versions/2/generate", b"{}", _json(
            {"model_name": "m", "text_output": "Hi", "details": {"finish_reason": "stop"}})),
        Talk("/v2/models/m/generate_stream", b"{}", _json(
            {"model_name": "m", "text_output": "H", "num_output_tokens": 1},
            {"model_name": "m", "text_output": ["i", "j"], "num_input_tokens": [4]}), "sse"),
        Talk("/v1/models/m:predict", b"{}", _json({"predictions": [1, 2]})),
        Talk("/predict", b'{"stream":true}', [b"Hel", b"lo"],
             headers=[("content-type", "text/plain"), ("fedml_t3", "1")]),
        Talk("/predict", b"{}", _json({"generated_text": "Hi"})),
        Talk("/v1/m/v/predict", b"{}", _json({"x": 1}),
             headers=[("X-Exception-Class", "ValueError")]),
        Talk("/v2/streaming_completions", b'{"model_name":"m","prompt":"x"}',
             _json({"id": "1", "data": ["a"], "status": [False], "finish_reason": [None]})),
        Talk("/v3/streaming_completions/1/result", b"",
             _json({"id": "1", "outputs": [{"output": "ab"}], "finish_reason": ["stop"]}),
             method="GET"),
        Talk("/generate_stream", b'{"text":"x"}', [b"Hel", b"lo"], "sse"),
        Talk("/image_generate", b"{}", _json({"text": ["a", "b"]})),
        Talk("/v1/chat/completions", b"{}", _json({"error": {
            "message": "maximum context length is 5", "type": "e", "code": 400}}), status=400),
        Talk("/v1/chat/completions", _STREAM, _json(_delta(content="a"), {"error": "x"}), "sse"),
        Talk(_GRPC + "ModelInfer", framed(proto(1, "m")), [infer_response(
            _TENSOR, tensor("num_output_tokens", "INT32", proto(2, 5)),
            raw=[raw_text("Hi"), struct.pack("<I", 5)])], "grpc",
            http2=True, trailers=[("grpc-status", "0")]),
        Talk(_GRPC + "ModelStreamInfer", framed(proto(1, "m")),
             [streamed(infer_response(_TENSOR)), streamed(error="bad")], "grpc",
             http2=True, trailers=[("grpc-status", "13"), ("grpc-message", "no%20way")]),
        Talk("/a.b.C/Do", framed(b""), [b""], "grpc", http2=True,
             trailers=[("grpc-status", "5")]),
        Talk("/", b'{"inputs":"x"}', _json([{"generated_text": "Hi"}])),
        Talk("/health", b"", [b""], method="HEAD", framing="length"),
        Talk("/nobody", b"x", [b"<html>"], status=404),
    ]  # fmt: skip

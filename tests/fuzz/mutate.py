"""How inputs are changed: the talk before it is on the wire, the records, or their bytes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from random import Random
from typing import Any

from inputs import FLOWS, KINDS, STEPS_NS, Record
from talks import Talk

from sidelight_sidecar.frames import codec

MAX_BYTES = 1 << 18
"""Of one input; longer ones are cut, for speed."""
NUMBERS = (
    0, 1, -1, 2, 127, 128, 129, 255, 256, 4095, 16383, 16384, 65535, 65536, (1 << 20) + 1,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64,
    10**30, 10**4000,
)  # fmt: skip
WORDS = (
    b"data: ", b"data:", b"\n\n", b"\r\n\r\n", b"\r", b"event: error\n", b": ping\n\n", b"[DONE]",
    b"\xef\xbb\xbf", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"{", b"}", b"[", b"]", b"null",
    b'{"error":{"message":"x","code":429}}\n', b'{"model":"\\ud83d"}', b'"stream" : true',
    b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n",
    b"HTTP/1.1 204 N\r\n\r\n", b"HTTP/1.1 408 T\r\nConnection: close\r\n\r\n",
    b"GET /x HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Content-Encoding: gzip\r\n",
    b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"ffffffff\r\n", b"1;x=y\r\n", b" folded\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0", b"\0\0\4\3\0\0\0\0\1\0\0\0\10",
    b"\0\0\0\1\4\0\0\0\1", b"\0\0\0\11\0\0\0\0\1", b"\0\0\10\7\0\0\0\0\0" + bytes(8),
    b"\0\0\0\0\1\0\0\0\1", b"\0\xff\xff\xff\xff", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd",
    b"\x16\x03\x01", b"\x3f\xe1\xff\xff\x7f",
)  # fmt: skip
FIELDS = (
    "model", "id", "choices", "usage", "error", "index", "delta", "message", "content", "text",
    "type", "finish_reason", "tool_calls", "prompt_tokens", "completion_tokens", "details", "n",
    "meta_info", "outputs", "data", "token", "done", "stop", "object", "function", "response",
    "output", "name", "timings", "status", "x_groq", "role", "reasoning", "item", "usage_metadata",
)  # fmt: skip


def _deep(levels: int, *, of_objects: bool) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"error": value} if of_objects else [value]
    return value


_DEEP = [_deep(n, of_objects=kind) for n in (3, 500, 900, 950, 980) for kind in (True, False)]


def odd_value(rng: Random, depth: int = 0) -> Any:
    """A value that no server means."""
    match rng.randrange(13):
        case 0:
            return rng.choice(NUMBERS)
        case 1:
            return rng.choice([None, True, False])
        case 2:
            return rng.choice([0.5, -0.0, 1e308, 5e-324])
        case 3:
            return "x" * rng.choice([0, 1, 65, 129, 257, 2049, 70_000])
        case 4:
            return rng.choice(["\0", "\u2028", "\x1b[0m", '"\\\n', "\U0001f600", "é" * 100, "stop"])
        case 5 if depth < 3:
            return [odd_value(rng, depth + 1)] * rng.choice([0, 1, 2, 200])
        case 6 if depth < 3:
            return {rng.choice(FIELDS): odd_value(rng, depth + 1) for _ in range(rng.randrange(4))}
        case 7 if depth == 0:
            return rng.choice(_DEEP)
        case 8:
            return {}
        case 9:
            return []
        case _:
            return rng.choice(["m", "error", "stop", "function_call", "text", 1, 5, 400, 127])


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Change one place of a JSON document; bytes that are none are changed as bytes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(rng, data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        value = _changed(rng, value)
    try:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "replace")
    except (RecursionError, ValueError):
        return b"[" * rng.choice([500, 990, 1100, 100_000])


def _changed(rng: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(FIELDS): odd_value(rng)}
            case 2:
                return {**value, rng.choice(FIELDS): value[key]}
            case _:
                return {**value, key: _changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value + [value[at]] * rng.choice([1, 5, 130, 600])
        return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
    return odd_value(rng)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Flip, set, delete, insert, double, repeat, or put a number or a word in."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        at = rng.randrange(len(out) + 1)
        size = min(rng.choice([1, 1, 2, 4, 9, 64, 1000]), len(out) - at)
        match rng.randrange(9):
            case 0 if size:
                out[at] ^= 1 << rng.randrange(8)
            case 1 if size:
                out[at] = rng.randrange(256)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = rng.choice(WORDS)
            case 4:
                out[at : at + size] = rng.choice(WORDS)
            case 5:
                out[at:at] = out[at : at + size] * rng.choice([1, 2, 50, 3000])
            case 6:
                number = abs(rng.choice(NUMBERS)) % (1 << 32)
                width = rng.choice([1, 2, 3, 4])
                out[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "big")
            case 7:
                out[at:at] = rng.choice([b"%d", b"%x"]) % (rng.choice(NUMBERS) % (1 << 70))
            case _:
                out[at:] = b"" if rng.random() < 0.3 else rng.randbytes(size) + out[at + size :]
    return bytes(out[:MAX_BYTES])


def mutate_talk(rng: Random, talk: Talk, other: Talk) -> Talk:
    """Change what is said, or how it is sent."""
    talk = dataclasses.replace(talk, parts=list(talk.parts), headers=list(talk.headers))
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(talk.parts)) if talk.parts else 0
        match rng.randrange(14):
            case 0 | 1 | 2 | 3 if talk.parts:
                talk.parts[at] = _mutate_part(rng, talk.style, talk.parts[at])
            case 4 if talk.parts:
                talk.parts[at:at] = talk.parts[at : at + 3] * rng.choice([1, 2, 40])
            case 5 if talk.parts:
                del talk.parts[at]
            case 6:
                rng.shuffle(talk.parts)
            case 7:
                talk.parts[at:at] = other.parts
            case 8:
                talk.asked = mutate_json(rng, talk.asked)
            case 9:
                talk.style = rng.choice(["sse", "named", "lines", "document", "grpc"])
            case 10:
                talk.coding = rng.choice(["", "gzip", "deflate", "br", "zstd", "members", "x"])
            case 11:
                talk.status = rng.choice([200, 201, 301, 400, 404, 429, 500, 503, 599, 999])
                talk.framing = rng.choice(["chunked", "length", "eof"])
            case 12:
                header = rng.choice(_HEADERS)
                talk.headers.append(header)
                talk.request_headers = [*talk.request_headers, rng.choice(_HEADERS)]
            case _:
                talk.path = rng.choice([other.path, talk.path + "?x=%00", "/v1" + talk.path])
                talk.method = rng.choice(["POST", "POST", "GET", "PUT", "HEAD"])
    return talk


_HEADERS = [
    ("grpc-status", "4"), ("grpc-status", "x" * 100), ("grpc-message", "%ff%zz"),
    ("x-prompt-tokens", "12"), ("x-generated-tokens", "9" * 30), ("content-encoding", "gzip, br"),
    ("inference-header-content-length", "3"), ("x-exception-class", "E"), ("fedml_t3", "0"),
    ("traceparent", "00-" + "0" * 32 + "-1-1"), ("traceparent", "00-" + "é" * 32 + "-1-1"),
    ("connection", "close"), ("upgrade", "websocket"), ("expect", "100-continue"),
    ("x", "y" * 9000), ("content-type", "text/event-stream; charset=utf-8"),
    ("content-type", "application/json"), ("content-type", ""), ("trailer", "x"),
]  # fmt: skip


def _mutate_part(rng: Random, style: str, part: bytes) -> bytes:
    if style == "named" and rng.random() < 0.9:
        name, _, data = part.partition(b"\0")
        return name + b"\0" + mutate_json(rng, data)
    return mutate_json(rng, part) if rng.random() < 0.8 else mutate_bytes(rng, part)


def mutate_records(rng: Random, records: list[Record], other: list[Record]) -> list[Record]:
    """Change the order, the cuts, the ends, or the bytes."""
    records = list(records)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        if not records:
            return list(other)
        rng.choice(_ON_RECORDS)(rng, records, other)
        records = cut(records)
    return records


def cut(records: list[Record]) -> list[Record]:
    """No more than is handled quickly."""
    size = 0
    for index, record in enumerate(records):
        size += len(record.payload)
        if size > MAX_BYTES or index >= 2000:
            return records[:index]
    return records


_OnRecords = Callable[[Random, list[Record], list[Record]], None]


def _bytes(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records))
    records[at] = records[at]._replace(payload=mutate_bytes(rng, records[at].payload))


def _split(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records))
    record = records[at]
    size = rng.choice([1, 2, 7, 100, max(1, len(record.payload) // 2)])
    pieces = range(0, min(len(record.payload), 400 * size), size)
    if len(pieces) > 1:
        last = pieces[-1]
        records[at : at + 1] = [
            record._replace(payload=record.payload[i : None if i == last else i + size])
            for i in pieces
        ]


def _join(rng: Random, records: list[Record], other: list[Record]) -> None:
    """As late reads do: all that one side sent in a row becomes one."""
    joined: list[Record] = []
    for record in records:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last[:2] == record[:2]
            and record.kind in (codec.CLIENT_BYTES, codec.ENGINE_BYTES)
        ):
            joined[-1] = last._replace(payload=last.payload + record.payload)
        else:
            joined.append(record)
    records[:] = joined


def _drop(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records))
    del records[at : at + rng.choice([1, 1, 3])]


def _double(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records))
    records[at:at] = records[at : at + rng.choice([1, 2, 5])] * rng.choice([1, 2, 30])


def _swap(rng: Random, records: list[Record], other: list[Record]) -> None:
    a, b = rng.randrange(len(records)), rng.randrange(len(records))
    records[a], records[b] = records[b], records[a]


def _event(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records) + 1)
    kind = rng.choice(KINDS)
    payload = rng.choice([b"", b"client", b"connect", b"engine", b'{"a":1}'])
    flow = records[min(at, len(records) - 1)].flow
    records.insert(at, Record(kind, flow, rng.randrange(len(STEPS_NS)), payload))


def _change(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records))
    match rng.randrange(3):
        case 0:
            records[at] = records[at]._replace(flow=rng.randrange(FLOWS))
        case 1:
            records[at] = records[at]._replace(kind=rng.choice(KINDS))
        case _:
            records[at] = records[at]._replace(step=rng.randrange(len(STEPS_NS)))


def _splice(rng: Random, records: list[Record], other: list[Record]) -> None:
    at = rng.randrange(len(records) + 1)
    start = rng.randrange(len(other) + 1)
    piece = other[start : start + rng.choice([1, 3, 100])]
    if rng.random() < 0.5:
        piece = [record._replace(flow=records[0].flow) for record in piece]
    records[at:at] = piece


def _interleave(rng: Random, records: list[Record], other: list[Record]) -> None:
    """Two flows at the same time."""
    moved = [record._replace(flow=(record.flow + 1) % FLOWS) for record in other]
    mixed: list[Record] = []
    queues = [records[:], moved]
    while queues[0] or queues[1]:
        queue = queues[rng.randrange(2)] or queues[0] or queues[1]
        mixed.append(queue.pop(0))
    records[:] = mixed


def _truncate(rng: Random, records: list[Record], other: list[Record]) -> None:
    del records[rng.randrange(len(records)) :]


_ON_RECORDS: list[_OnRecords] = [
    _bytes, _bytes, _bytes, _split, _split, _join, _drop, _double, _swap, _event, _event, _change,
    _splice, _interleave, _truncate,
]  # fmt: skip

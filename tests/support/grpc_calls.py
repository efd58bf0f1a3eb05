"""gRPC calls as an HTTP/2 module would report them, and messages written by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from observed import MS, Kept

from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.http.transaction import Context, Transaction

SERVICE = "/inference.GRPCInferenceService/"


def varint(number: int) -> bytes:
    """A number, 7 bits a byte."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, datatype: str, contents: bytes = b"") -> bytes:
    """An InferOutputTensor."""
    shape = field(3, b"\x01")
    inner = field(5, contents) if contents else b""
    return field(1, name) + field(2, datatype) + shape + inner


def infer_response(
    *outputs: bytes, raw: Sequence[bytes] = (), model: str = "llm", version: str = "2"
) -> bytes:
    """A ModelInferResponse."""
    head = field(1, model) + field(2, version) + field(3, "call-1")
    body = b"".join(field(5, output) for output in outputs)
    return head + body + b"".join(field(6, content) for content in raw)


def raw_text(text: str) -> bytes:
    """A BYTES tensor of one element."""
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def streamed(response: bytes = b"", error: str = "") -> bytes:
    """A ModelStreamInferResponse."""
    return (field(1, error) if error else b"") + (field(2, response) if response else b"")


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A message behind its prefix."""
    return struct.pack(">BI", compressed, len(message)) + message


def call(
    method: str,
    *reads: bytes,
    status: str = "0",
    message: bytes = b"",
    in_head: bool = False,
    http_status: int = 200,
) -> Exchange:
    """The exchange of a call whose response came in these reads, 10 ms apart.

    `status` and `message` are gRPC's; empty: the stream ended without.
    """
    kept = Kept()
    context = Context(kept, Budget())
    transaction = Transaction(context, 1, MS)
    transaction.exchange.protocol = "http/2"
    path = method if method.startswith("/") else SERVICE + method
    transaction.request_head("POST", path, {b"content-type": b"application/grpc"})
    transaction.request_body(framed(field(1, "llm")))
    transaction.request_end(2 * MS, 0)
    trailers = {b"grpc-status": status.encode(), b"grpc-message": message} if status else {}
    headers = {b"content-type": b"application/grpc", **(trailers if in_head else {})}
    transaction.response_start(3 * MS)
    transaction.response_head(http_status, headers)
    at_ms = 3
    for read in reads:
        at_ms += 10
        transaction.response_body(read, at_ms * MS)
    if trailers and not in_head:
        transaction.response_trailers(trailers)
    transaction.complete((at_ms + 1) * MS)
    assert context.budget.kept == 0
    return kept.exchanges[0]

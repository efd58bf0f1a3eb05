"""Bodies of the Open Inference Protocol with binary tensors, as JSON alone. Pure.

A client may send tensors behind the JSON, and have an answer's so, too (Triton's binary tensor data
extension): the header `Inference-Header-Content-Length` says where the JSON ends, each tensor's
parameter `binary_data_size` how much of the rest is its own.

Rules:
1. Of type BYTES the elements are texts: they stand in the tensor's `data` then, as if they had been
   sent so, and are masked with all else. Of other types nothing is passed on: numbers of pixels,
   vectors.
2. Whatever is not as it says leaves the tensor without data; a body whose JSON is none is nobody's.
"""

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

SIZE = "binary_data_size"
MAX_TENSORS = 256
MAX_ELEMENTS = 65_536
_LENGTH = struct.Struct("<I")
_decoder = msgspec.json.Decoder(dict[str, Any])


def as_json(data: bytes, json_bytes: int) -> bytes | None:
    """A body as JSON; None: it is not of this kind."""
    try:
        told = _decoder.decode(data[:json_bytes])
    except (msgspec.DecodeError, RecursionError):
        return None
    at = json_bytes
    for tensor in _tensors(told):
        parameters = tensor["parameters"]
        size = parameters.pop(SIZE)
        part = data[at : at + size]
        at += size
        if tensor.get("datatype") == "BYTES" and len(part) == size:
            tensor["data"] = list(_texts(part))
    return msgspec.json.encode(told)


def _tensors(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those with binary data, in their order."""
    for name in ("inputs", "outputs"):
        some = told.get(name)
        for tensor in some[:MAX_TENSORS] if isinstance(some, list) else ():
            if not isinstance(tensor, dict) or not isinstance(tensor.get("parameters"), dict):
                continue
            size = tensor["parameters"].get(SIZE)
            if type(size) is int and size >= 0:
                yield tensor


def _texts(part: bytes) -> Iterator[str]:
    """Elements of a BYTES tensor, each behind its length."""
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at + _LENGTH.size > len(part):
            return
        (size,) = _LENGTH.unpack_from(part, at)
        at += _LENGTH.size
        if at + size > len(part):
            return
        yield part[at : at + size].decode("utf-8", "replace")
        at += size

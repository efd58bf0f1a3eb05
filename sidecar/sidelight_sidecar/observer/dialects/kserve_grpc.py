"""KServe's second protocol over gRPC: `ModelInfer` and `ModelStreamInfer`.

Fields by their numbers in `grpc_predict_v2.proto` (the same in Triton's `grpc_service.proto`). A
`ModelStreamInfer` is one exchange, however many requests its client sends on it: each response
that has outputs is an arrival.
"""

import struct
from typing import Any, ClassVar

from sidelight_sidecar.observer.bodies.protobuf import ProtobufError, fields, text
from sidelight_sidecar.observer.dialects import triton
from sidelight_sidecar.observer.dialects.base import Headers
from sidelight_sidecar.observer.dialects.grpc import Grpc

_MAX_NAME = 128
_MAX_OUTPUTS = 64
_MAX_TEXT = 1 << 16
# ModelInferResponse
_MODEL_NAME, _MODEL_VERSION, _ID, _OUTPUT, _RAW = 1, 2, 3, 5, 6
# InferOutputTensor
_NAME, _CONTENTS = 1, 5
# InferTensorContents: the kinds that known outputs have
_INT_CONTENTS, _INT64_CONTENTS, _UINT_CONTENTS, _UINT64_CONTENTS, _BYTES_CONTENTS = 2, 3, 4, 5, 8
_INTEGERS = frozenset({_INT_CONTENTS, _INT64_CONTENTS, _UINT_CONTENTS, _UINT64_CONTENTS})
# ModelStreamInferResponse
_ERROR_MESSAGE, _INFER_RESPONSE = 1, 2


class ModelInfer(Grpc):
    """One request, one response."""

    name: ClassVar[str] = "kserve_grpc"

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """The response. It is no arrival: nothing streams."""
        try:
            self.exchange.has_output |= self._response(data)
        except ProtobufError:
            self.exchange.unread = "protobuf"
        return 0

    def _response(self, message: bytes) -> bool:
        """Take in a ModelInferResponse; say whether it bears output."""
        exchange = self.exchange
        names: list[str] = []
        outputs: dict[str, Any] = {}
        raw: list[bytes] = []
        for number, value in fields(message):
            if number == _MODEL_NAME:
                exchange.model = text(value, _MAX_NAME) or exchange.model
            elif number == _MODEL_VERSION:
                exchange.model_version = text(value, _MAX_NAME) or exchange.model_version
            elif number == _ID:
                exchange.response_id = text(value) or exchange.response_id
            elif not isinstance(value, bytes) or len(names) > _MAX_OUTPUTS:
                continue
            elif number == _OUTPUT:
                name, contents = _tensor(value)
                names.append(name)
                if contents is not None:
                    outputs[name] = contents
            elif number == _RAW:
                raw.append(value)
        for name, content in zip(names, raw, strict=False):
            if name in triton.KNOWN:
                outputs[name] = _raw(name, content)
        if triton.TEXT not in names:
            return bool(names)
        exchange.generating = True
        return triton.read(self, outputs)


class ModelStreamInfer(ModelInfer):
    """Requests and responses, as many as there are."""

    def head(self, status: int, headers: Headers) -> None:
        """It is a stream, if it is anything."""
        self.exchange.stream = status == 200
        super().head(status, headers)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """A response with outputs, or an error, after which others may still come."""
        output = False
        try:
            for number, value in fields(data):
                if number == _ERROR_MESSAGE and value:
                    self.fail(text(value, 1024))
                elif number == _INFER_RESPONSE and isinstance(value, bytes):
                    output = self._response(value)
        except ProtobufError:
            self.exchange.unread = "protobuf"
        if output:
            self.exchange.output(at_ns)
        return int(output)


def _tensor(message: bytes) -> tuple[str, Any]:
    """The name of an output, and its contents when it has them and they are wanted."""
    name, contents = "", None
    for number, value in fields(message):
        if number == _NAME:
            name = text(value, _MAX_NAME)
        elif number == _CONTENTS and isinstance(value, bytes) and name in triton.KNOWN:
            contents = _contents(value)
    return name, contents


def _contents(message: bytes) -> Any:
    for number, value in fields(message):
        if number == _BYTES_CONTENTS and isinstance(value, bytes):
            return text(value, _MAX_TEXT)
        if number in _INTEGERS:
            if isinstance(value, int):
                return value
            return next((one for _, one in fields(b"\x08" + value)), None)  # packed: the first
    return None


def _raw(name: str, content: bytes) -> Any:
    """The first element: a string behind its length, or an integer, all little endian."""
    if name in (triton.TEXT, triton.FINISH):
        if len(content) < 4:
            return None
        (length,) = struct.unpack_from("<I", content)
        return content[4 : 4 + min(length, _MAX_TEXT)].decode("utf-8", "replace")
    return int.from_bytes(content, "little") if len(content) in (4, 8) else None

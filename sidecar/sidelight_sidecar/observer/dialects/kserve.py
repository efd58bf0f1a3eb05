"""Triton and the Open Inference Protocol over HTTP: `infer`, `generate`, `generate_stream`.

The path names the model, and the answer which version of it answered. The end of the connection is
the end of a `generate_stream`; there is no terminator. KServe's first protocol
(`/v1/models/NAME:predict`) is read as far as it says anything.
"""

import re
from typing import Any, ClassVar
from urllib.parse import unquote

import msgspec

from sidelight_sidecar.observer.dialects import triton
from sidelight_sidecar.observer.dialects.base import Dialect, Headers, text_of

_PATH = re.compile(
    r"(?:/v2/models/([^/]+)(?:/versions/([^/]+))?/[a-z_]+|/v1/models/([^/:]+):[a-z]+)"
)
JSON_LENGTH = b"inference-header-content-length"
"""Length of the JSON before the binary tensors (Triton's binary tensor data extension)."""
_MAX_NAME = 128


class _Answer(msgspec.Struct):
    model_name: Any = None
    model_version: Any = None
    id: Any = None
    error: Any = None
    outputs: Any = None
    predictions: Any = None
    text_output: Any = None
    finish_reason: Any = None
    num_input_tokens: Any = None
    num_output_tokens: Any = None
    details: Any = None
    token: Any = None


_answer = msgspec.json.Decoder(_Answer)


class _KServe(Dialect):
    """What the routes share."""

    def head(self, status: int, headers: Headers) -> None:
        """The model is in the path; what clients make up is answered with 4xx."""
        super().head(status, headers)
        found = _PATH.search(self.request.path)
        if found and (status < 400 or status >= 500):
            self.exchange.model = unquote(found[1] or found[3])[:_MAX_NAME]
            self.exchange.model_version = unquote(found[2] or "")[:_MAX_NAME]

    def _common(self, answer: _Answer) -> None:
        exchange = self.exchange
        if answer.error:
            self.fail(answer.error)
        exchange.model = text_of(answer.model_name, _MAX_NAME) or exchange.model
        version = text_of(answer.model_version, _MAX_NAME)
        exchange.model_version = version or exchange.model_version
        exchange.response_id = text_of(answer.id) or exchange.response_id


class Infer(_KServe):
    """`infer`: tensors in, tensors out; text where a language model's outputs are among them."""

    name: ClassVar[str] = "kserve"
    _json_bytes = 0

    def head(self, status: int, headers: Headers) -> None:
        """How much of the body is JSON."""
        super().head(status, headers)
        length = headers.get(JSON_LENGTH, b"")
        self._json_bytes = int(length) if length.isdigit() and len(length) < 10 else 0

    def document(self, body: bytes) -> None:
        """The whole answer."""
        if self.refused(body):
            return
        answer = self.decode(_answer, body[: self._json_bytes or None])
        if answer is None:
            return
        self._common(answer)
        tensors = answer.outputs if isinstance(answer.outputs, list) else []
        outputs = {}
        for tensor in tensors[:64]:
            name = text_of(tensor.get("name")) if isinstance(tensor, dict) else ""
            if name in triton.KNOWN:
                outputs[name] = tensor.get("data")
        self.exchange.has_output = bool(tensors or answer.predictions)
        if triton.TEXT in outputs:
            self.exchange.generating = True
            triton.read(self, outputs)


class Generate(_KServe):
    """`generate` and `generate_stream`: text in, text out."""

    name: ClassVar[str] = "kserve"

    def document(self, body: bytes) -> None:
        """The whole answer."""
        if self.refused(body):
            return
        answer = self.decode(_answer, body)
        if answer is not None and self._read(answer):
            self.exchange.has_output = True

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """One response of the model: some text, usually one token."""
        answer = self.decode(_answer, data)
        if answer is None or not self._read(answer):
            return 0
        self.exchange.output(at_ns)
        return 1

    def _read(self, answer: _Answer) -> bool:
        self._common(answer)
        outputs = {
            triton.TEXT: answer.text_output,
            triton.FINISH: answer.finish_reason,
            triton.PROMPT_TOKENS: answer.num_input_tokens,
            triton.OUTPUT_TOKENS: answer.num_output_tokens,
        }
        if isinstance(answer.details, dict):  # the Open Inference Protocol's
            outputs[triton.FINISH] = answer.details.get("finish_reason") or answer.finish_reason
        return triton.read(self, outputs)

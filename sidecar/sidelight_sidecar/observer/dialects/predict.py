"""`/predict`: what anybody calls a model's only function. FedML's and Qwak's servers have it.

Rules:
1. Output that comes in pieces, though no kind of stream is announced, to a request that asked for a
   stream, is FedML's: text without any structure. Each read is an event.
2. Events and answers of OpenAI's shape are read as such.
3. A document may hold anything. Text that was generated is known by FedML's name for it; the rest
   is an inference of some other kind, of which there is nothing to count.
4. `X-Exception-Class` is Qwak's word that it failed, whatever the status.
"""

import re
from typing import Any, ClassVar
from urllib.parse import unquote

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Framing, Headers, Request, loads
from sidelight_sidecar.observer.dialects.openai import OpenAI
from sidelight_sidecar.observer.exchange import Exchange

_EXCEPTION = b"x-exception-class"
_FEDML = b"fedml_t3"
"""FedML's runner puts the time it got the request into every answer."""
_SHAPELESS = frozenset({"", "text/plain", "application/octet-stream"})
_QWAK_PATH = re.compile(r"/v1/([^/]+)(?:/([^/]+))?/predict")
_MAX_NAME = 128


class _Asked(msgspec.Struct):
    stream: Any = None
    input: Any = None
    inputs: Any = None


_asked = msgspec.json.Decoder(_Asked)


class Predict(Dialect):
    """Answers of a `/predict`."""

    name: ClassVar[str] = ""
    needs_request = True

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._asks = _asks_for_stream(request.body)
        self._inner: OpenAI | None = None
        self._pieces = False
        self.needs_request = False

    def framing(self, content_type: str) -> Framing:
        """Pieces, where a stream was asked for and nothing is said of its kind."""
        if content_type in _SHAPELESS and self._asks:
            self._pieces = True
            return Framing.PIECES
        framing = super().framing(content_type)
        if framing is not Framing.DOCUMENT:
            self._inner = OpenAI(self.exchange, self.request)
        return framing

    def head(self, status: int, headers: Headers) -> None:
        """The status, and whose server it is, as far as it says so."""
        super().head(status, headers)
        exchange = self.exchange
        if _EXCEPTION in headers:
            exchange.dialect = "qwak"
            self.fail(headers[_EXCEPTION].decode("latin-1"))
        elif _FEDML in headers or self._pieces or self._inner is not None:
            exchange.dialect = "fedml"
        if status >= 400:
            exchange.stream = False
        elif self._pieces or self._inner is not None:
            exchange.operation = "generate"

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """A piece of text, or an event of OpenAI's shape."""
        exchange = self.exchange
        if self._inner is not None:
            return self._inner.event(name, data, at_ns)
        if exchange.error:
            return 0
        exchange.choice(0)
        self.keep(data.decode("utf-8", "replace"))
        exchange.output(at_ns)
        return 1

    def document(self, body: bytes) -> None:
        """Anything at all."""
        exchange = self.exchange
        if self.refused(body):
            return
        answer = loads(body)
        fields = answer if isinstance(answer, dict) else {}
        if isinstance(fields.get("choices"), list):
            exchange.operation = "generate"
            OpenAI(exchange, self.request).document(body)
            return
        if fault := errors.error_in(fields):
            self.fail(fault)
        text = fields.get("generated_text")
        if isinstance(text, str):
            exchange.operation = "generate"
            exchange.choice(0)
            exchange.has_output = bool(text)
        else:
            exchange.generating = False
            exchange.has_output = bool(body)

    def ended(self) -> bool:
        """Pieces have no end but the connection's."""
        return self._inner is None or self._inner.ended()


class Qwak(Predict):
    """Qwak's own paths, which name the model and its variation."""

    name: ClassVar[str] = "qwak"

    def head(self, status: int, headers: Headers) -> None:
        """The model is in the path; what clients make up is answered with 4xx."""
        super().head(status, headers)
        exchange = self.exchange
        exchange.dialect = self.name
        found = _QWAK_PATH.search(self.request.path)
        if found and (status < 400 or status >= 500):
            exchange.model = unquote(found[1])[:_MAX_NAME]
            exchange.model_version = unquote(found[2] or "")[:_MAX_NAME]


def _asks_for_stream(body: bytes | None) -> bool:
    """`stream` of the request, or of the inputs that FedML's gateway wraps."""
    if not body:
        return False
    try:
        asked = _asked.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    places = [asked.stream]
    places += [one.get("stream") for one in (asked.input, asked.inputs) if isinstance(one, dict)]
    return any(place is True for place in places)

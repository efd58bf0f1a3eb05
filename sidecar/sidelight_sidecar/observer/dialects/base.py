"""What every dialect shares: one small class an API, which reads responses into exchanges.

Rules, from what servers do:
1. The response decides whether it is a stream, not the request.
2. Usage is cumulative wherever it appears: the last one wins, none are added up.
3. Nothing here may raise, whatever the bytes are; what cannot be read is noted in
   `exchange.unread` and the rest goes on.
4. An event "bears output" by the rules of CONVENTIONS (a role, a usage or a finish reason alone
   does not; an empty content without either does: a token that decodes to nothing).
"""

from enum import Enum
from typing import Any, ClassVar, TypeVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.exchange import Exchange, status_error

Headers = dict[bytes, bytes]
"""By lower-case name; of repeated ones the last."""

T = TypeVar("T")


class Framing(Enum):
    """How a response's body is cut into what a dialect reads."""

    DOCUMENT = "document"
    """As a whole, when it has ended."""
    EVENTS = "events"
    """Server-sent events."""
    LINES = "lines"
    """JSON lines."""
    MESSAGES = "messages"
    """gRPC messages."""
    PIECES = "pieces"
    """Each read as it comes: a stream without any structure."""


_FRAMINGS = {
    "text/event-stream": Framing.EVENTS,
    "application/x-ndjson": Framing.LINES,
    "application/ndjson": Framing.LINES,
    "application/jsonl": Framing.LINES,
    "application/json-seq": Framing.LINES,
    "application/stream+json": Framing.LINES,
}


class Request:
    """What a dialect may know of the request.

    Attributes:
        method, path: of the request line; the path without its query.
        engine: type of the engine, as configured (`spec.engine.type`); `Auto` when nobody said.
        body: the whole body, or as much as came before the response began; None when it was too
            long to be kept, or compressed.
    """

    __slots__ = ("body", "engine", "method", "path")

    def __init__(self, method: str, path: str, engine: str = "Auto") -> None:
        self.method = method
        self.path = path.partition("?")[0]
        self.engine = engine
        self.body: bytes | None = b""

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none, or was not kept."""
        value = loads(self.body or b"")
        return value if isinstance(value, dict) else {}


class Dialect:
    """Reads one response. This class knows no API: status, times and sizes are all it takes."""

    name: ClassVar[str] = ""
    engines: ClassVar[frozenset[str]] = frozenset()
    """Engine types (`spec.engine.type`) that always mean this dialect on a shared path."""
    tokens_each: bool = False
    """Each output-bearing event is exactly one token."""
    late_headers: ClassVar[frozenset[bytes]] = frozenset()
    """Headers of the response that `head` wants even when it is chosen by what follows them; a head
    can be long, and is not kept for as long as an answer lasts."""
    needs_request: bool = False
    """The request's body is asked for when the response is read."""

    def __init__(self, exchange: Exchange, request: Request) -> None:
        self.exchange = exchange
        self.request = request

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:  # noqa: ARG003
        """Whether `answer`, the first object of an answer on a shared path, is this dialect's."""
        return False

    def framing(self, content_type: str) -> Framing:
        """How a body of this content type (lower case, without parameters) is to be cut."""
        return _FRAMINGS.get(content_type, Framing.DOCUMENT)

    def head(self, status: int, headers: Headers) -> None:  # noqa: ARG002
        """The response's status and headers."""
        self.exchange.error = status_error(status)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """One event, line, message or piece of a stream; return how many outputs it bears.

        `name` is the SSE event's, empty otherwise.
        """
        return 0

    def document(self, body: bytes) -> None:
        """The whole body of a response that is no stream; an empty one is not given."""

    def trailers(self, headers: Headers) -> None:
        """The trailers, where there are any."""

    def ended(self) -> bool:
        """Whether a stream that is over in HTTP's eyes said that it is complete."""
        return True

    # --- for the dialects -------------------------------------------------------------------
    def decode(self, decoder: msgspec.json.Decoder[T], data: bytes) -> T | None:
        """`data` as what the decoder takes; None, and noted, when it is not that."""
        try:
            return decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if not self.exchange.error:  # an error's page need not be JSON
                self.exchange.unread = "json"
            return None

    def fail(self, fault: object = None) -> None:
        """The answer says that it failed; `fault` is what it says, as `errors.error_in` has it."""
        errors.apply(self.exchange, fault)

    def refused(self, body: bytes) -> bool:
        """Whether the status said that the request failed; then `body` may say how."""
        if not self.exchange.error:
            return False
        answer = loads(body)
        if isinstance(answer, list) and answer:
            answer = answer[0]
        if isinstance(answer, dict):
            self.fail(errors.error_in(answer) or answer)
        return True

    def keep(self, text: object) -> None:
        """Keep output so that it can be counted later, if that is wanted."""
        if self.exchange.text is not None and isinstance(text, str):
            self.exchange.text.write(text)


def loads(data: bytes) -> Any:
    """`data` as JSON; None when it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def count(value: object, otherwise: int | None = None) -> int | None:
    """`value` if it is a count of tokens."""
    return value if type(value) is int and 0 <= value < 1 << 40 else otherwise


def text_of(value: object, limit: int = 256) -> str:
    """`value` if it is a string, cut to `limit`; else empty."""
    return value[:limit] if isinstance(value, str) else ""

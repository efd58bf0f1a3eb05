"""TGI's own API: `/generate`, `/generate_stream`, and `/` (either, by `stream` in the request).

A stream brings one token an event, and ends with `generated_text`; there is no `[DONE]`. Counts
are in `details`, if asked for, and of an answer that is no stream in headers too. TGI names no
model.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Headers, Request, loads
from sidelight_sidecar.observer.dialects.usage import read
from sidelight_sidecar.observer.engine_times import EngineTimes, milliseconds
from sidelight_sidecar.observer.exchange import Exchange


class _Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    token: Any = None
    generated_text: Any = None
    details: Any = None
    error: Any = None


_event = msgspec.json.Decoder(_Event)


class Tgi(Dialect):
    """Generation, streamed or not."""

    name: ClassVar[str] = "tgi"
    engines: ClassVar[frozenset[str]] = frozenset({"TGI"})
    tokens_each = True
    late_headers: ClassVar[frozenset[bytes]] = frozenset(
        {b"x-prompt-tokens", b"x-generated-tokens", b"x-queue-time"}
    )

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._whole = False

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:  # noqa: ARG003
        """The text that was generated, a token with its number, or an error with its type."""
        return (
            "generated_text" in answer
            or isinstance(answer.get("token"), dict)
            or ("error_type" in answer and "error" in answer)
        )

    def head(self, status: int, headers: Headers) -> None:
        """The counts in the headers, and the time in the queue."""
        super().head(status, headers)
        if (waited := _number(headers.get(b"x-queue-time"))) is not None:
            self.exchange.engine_times = EngineTimes(before_ns=milliseconds(waited))
        read(
            self.exchange,
            _number(headers.get(b"x-prompt-tokens")),
            _number(headers.get(b"x-generated-tokens")),
        )

    def document(self, body: bytes) -> None:
        """A whole answer, which `/` puts into a list; or an error."""
        if self.refused(body):
            return
        answer = loads(body)
        if isinstance(answer, list) and answer:
            answer = answer[0]
        if not isinstance(answer, dict):
            self.exchange.unread = "json"
            return
        fault = errors.error_in(answer)
        if fault is not None:
            self.fail(fault)
        self._details(answer.get("details"))
        self.exchange.choice(0)
        self.exchange.has_output = bool(answer.get("generated_text"))

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """A token, or an error."""
        event = self.decode(_event, data)
        if event is None:
            return 0
        if event.error or name == b"error":
            answer = loads(data)
            self.fail(errors.error_in(answer) or answer)
        if event.generated_text is not None:
            self._whole = True
        self._details(event.details)
        token = event.token
        if not isinstance(token, dict):
            return 0
        self.exchange.choice(0)
        self.exchange.output(at_ns)
        if not token.get("special"):
            self.keep(token.get("text"))
        return 1

    def ended(self) -> bool:
        """`generated_text` came."""
        return self._whole

    def _details(self, details: object) -> None:
        if not isinstance(details, dict):
            return
        self.exchange.finish(0, details.get("finish_reason"))
        read(self.exchange, details.get("input_length"), details.get("generated_tokens"))


def _number(value: bytes | None) -> int | None:
    """A header's number."""
    return int(value) if value is not None and value.isdigit() and len(value) < 12 else None

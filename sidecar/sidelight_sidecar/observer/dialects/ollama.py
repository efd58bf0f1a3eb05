"""Ollama's own API: chat, generate, embed (and the older embeddings).

It streams JSON lines unless told not to; the last line has `done` and the counts. An error after
the stream began is a line `{"error": ...}`. A request without a prompt only loads or unloads a
model (`done_reason` says so): nothing is generated.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Request, loads, text_of
from sidelight_sidecar.observer.dialects.usage import read
from sidelight_sidecar.observer.engine_times import EngineTimes, nanoseconds
from sidelight_sidecar.observer.exchange import Exchange

_NOT_GENERATED = frozenset({"load", "unload"})


class _Line(msgspec.Struct, gc=False):
    """A line of a stream, or a whole answer; vectors and contexts are skipped unread."""

    model: Any = None
    message: Any = None
    response: Any = None
    thinking: Any = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    load_duration: Any = None
    prompt_eval_duration: Any = None
    eval_duration: Any = None
    error: Any = None


_line = msgspec.json.Decoder(_Line)


class Ollama(Dialect):
    """Any of Ollama's own endpoints that runs a model."""

    name: ClassVar[str] = "ollama"

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._done = False

    def document(self, body: bytes) -> None:
        """A whole answer, or an error."""
        if self.refused(body):
            return
        line = self.decode(_line, body)
        if line is not None:
            self._read(line, body)
            visible, thinking = self._says(line)
            self.exchange.has_output |= bool(visible or thinking)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """A line of a stream."""
        line = self.decode(_line, data)
        if line is None:
            return 0
        self._read(line, data)
        visible, thinking = self._says(line)
        if not (visible or thinking):
            return 0
        self.keep(thinking)
        self.keep(visible)
        self.exchange.output(at_ns, reasoning=bool(thinking), visible=bool(visible))
        return 1

    def ended(self) -> bool:
        """The line with `done` came."""
        return self._done

    def _read(self, line: _Line, data: bytes) -> None:
        """What a line says besides its output."""
        exchange = self.exchange
        exchange.model = text_of(line.model) or exchange.model
        if line.error:
            answer = loads(data)
            self.fail(errors.error_in(answer) if isinstance(answer, dict) else None)
        if line.done is True:
            self._done = True
            exchange.engine_times = EngineTimes(
                nanoseconds(line.load_duration),
                nanoseconds(line.prompt_eval_duration),
                nanoseconds(line.eval_duration),
            )
            exchange.choice(0)
            exchange.finish(0, line.done_reason)
            if isinstance(line.done_reason, str) and line.done_reason in _NOT_GENERATED:
                exchange.generating = False
        read(exchange, line.prompt_eval_count, line.eval_count)

    def _says(self, line: _Line) -> tuple[object, object]:
        """What a line brings that is no thinking, and what is; count its calls, each whole."""
        message = line.message
        if not isinstance(message, dict):
            return line.response, line.thinking
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            self.exchange.tool_calls += len(calls)
        return message.get("content") or calls, message.get("thinking")

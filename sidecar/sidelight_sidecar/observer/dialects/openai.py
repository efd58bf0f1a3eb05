"""OpenAI chat and completions, streamed and not, as vLLM, SGLang, llama.cpp and others serve them.

Rules, from CONVENTIONS of the field:
1. The response decides whether it is a stream, not the request.
2. Usage is cumulative wherever it appears: the last one wins, none are added up.
3. A role, a usage or a finish reason alone is no output; an empty content without either is (a
   token that decodes to nothing).
"""

from typing import Any

import msgspec

from sidelight_sidecar.observer.exchange import Exchange, status_error
from sidelight_sidecar.observer.sse import EventStream, EventTooLongError

MAX_BODY_BYTES = 4 << 20
"""A longer body of an answer that is no stream is not parsed."""

_FINISH = {
    "stop": "stop", "eos_token": "stop", "length": "length", "tool_calls": "tool_calls",
    "function_call": "tool_calls", "content_filter": "content_filter", "abort": "abort",
    "error": "error",
}  # fmt: skip
_CONTEXT_WORDS = ("exceed_context_size", "context_length_exceeded", "maximum context length")


class Message(msgspec.Struct):
    """A message or its delta; of any type, since engines differ and nothing here may fail."""

    role: Any = None
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class Choice(msgspec.Struct):
    """One choice of a chunk or of a whole answer."""

    index: Any = 0
    delta: Message | None = None
    message: Message | None = None
    text: Any = None
    finish_reason: Any = None


class Answer(msgspec.Struct):
    """A chunk, a whole answer, or an error."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    type: Any = None
    code: Any = None
    message: Any = None


_decode = msgspec.json.Decoder(Answer).decode


class OpenAIReader:
    """Reads one response of the OpenAI API into an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._events: EventStream | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._done = False
        self._deaf = False
        """The rest of the body is not read; `exchange.unread` says why."""

    def head(self, status: int, content_type: str, *, encoded: bool) -> None:
        """Choose how to read the body."""
        self._exchange.error = status_error(status)
        if encoded:
            self._stop_reading("encoding")
        if content_type.startswith("text/event-stream"):
            self._exchange.stream = True
            self._events = EventStream()

    def body(self, data: bytes, at_ns: int) -> float | None:
        """Read what one read brought."""
        if self._deaf:
            return None
        if self._events is None:
            self._kept_bytes += len(data)
            if self._kept_bytes > MAX_BODY_BYTES:
                self._stop_reading("size")
            else:
                self._kept.append(data)
            return None
        try:
            events = self._events.feed(data)
        except EventTooLongError:
            self._stop_reading("sse")
            return None
        outputs = 0
        for name, text in events:
            outputs += self._event(name, text, at_ns)
        if not outputs:
            return None
        exchange = self._exchange
        if not exchange.first_output_ns and exchange.output_tokens:
            exchange.first_arrival_tokens = exchange.output_tokens  # usage comes with every chunk
        return exchange.arrival(at_ns, outputs)

    def _stop_reading(self, why: str) -> None:
        self._deaf = True
        self._exchange.unread = why
        self._kept.clear()

    def end(self, *, whole: bool) -> None:
        """Read what was kept; say how a stream ended."""
        exchange = self._exchange
        if self._events is None:
            if whole and self._kept:
                self._whole(b"".join(self._kept))
        elif whole and not (
            exchange.error or exchange.unread or self._done or exchange.finish_reasons
        ):
            exchange.error = "upstream_reset"

    def _whole(self, body: bytes) -> None:
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if not self._exchange.error:  # an error's page need not be JSON
                self._exchange.unread = "json"
            return
        self._common(answer)
        for choice in answer.choices or ():
            self._finish(choice)

    def _event(self, name: bytes, text: bytes, at_ns: int) -> bool:
        """Read one event; return whether it bears output."""
        if text == b"[DONE]":
            self._done = True
            return False
        try:
            answer = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._exchange.unread = "json"
            return False
        if name == b"error" and not answer.error:
            answer.error = True
        self._common(answer)
        output = False
        for choice in answer.choices or ():
            self._finish(choice)
            output |= self._bears_output(choice, at_ns)
        return output

    def _common(self, answer: Answer) -> None:
        exchange = self._exchange
        if answer.error or answer.object == "error":
            self._error(answer)
        if isinstance(answer.model, str) and answer.model:
            exchange.model = answer.model
        if isinstance(answer.id, str):
            exchange.response_id = answer.id
        if isinstance(answer.usage, dict):
            self._usage(answer.usage)

    def _error(self, answer: Answer) -> None:
        exchange = self._exchange
        fault = answer.error if isinstance(answer.error, dict) else {
            "type": answer.type, "code": answer.code, "message": answer.message or answer.error,
        }  # fmt: skip
        said = " ".join(str(fault.get(key)) for key in ("type", "code", "message")).lower()
        if any(word in said for word in _CONTEXT_WORDS):
            exchange.error = "context_length"
        elif not exchange.error:
            exchange.error = "stream_error" if exchange.stream else "server_error"

    def _usage(self, usage: dict[str, Any]) -> None:
        exchange = self._exchange
        exchange.prompt_tokens = _count(usage.get("prompt_tokens"), exchange.prompt_tokens)
        exchange.output_tokens = _count(usage.get("completion_tokens"), exchange.output_tokens)
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            exchange.cached_tokens = _count(details.get("cached_tokens"), 0) or 0
        details = usage.get("completion_tokens_details")
        if isinstance(details, dict):
            exchange.reasoning_tokens = _count(details.get("reasoning_tokens"), 0) or 0

    def _finish(self, choice: Choice) -> None:
        exchange = self._exchange
        index = choice.index
        if isinstance(index, int) and index >= exchange.choices:
            exchange.choices = index + 1
        reason = choice.finish_reason
        if isinstance(reason, str) and reason and len(exchange.finish_reasons) < exchange.choices:
            exchange.finish_reasons.append(_FINISH.get(reason, "other"))

    def _bears_output(self, choice: Choice, at_ns: int) -> bool:
        exchange, delta = self._exchange, choice.delta
        reasoning = False
        if delta is None:
            visible = bool(choice.text) or (choice.text == "" and choice.finish_reason is None)
        else:
            reasoning = bool(delta.reasoning or delta.reasoning_content)
            visible = bool(
                delta.content
                or delta.tool_calls
                or delta.refusal
                or delta.function_call
                or delta.audio
            ) or (
                delta.content == ""
                and not reasoning
                and delta.role is None
                and choice.finish_reason is None
            )
        if reasoning and not exchange.first_visible_ns:
            exchange.reasoned = True
        if visible and not exchange.first_visible_ns:
            exchange.first_visible_ns = at_ns
        return visible or reasoning


def _count(value: object, otherwise: int | None) -> int | None:
    """`value` if it is a count of tokens."""
    return value if type(value) is int and 0 <= value < 1 << 40 else otherwise

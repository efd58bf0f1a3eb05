"""OpenAI chat and completions, as vLLM, SGLang, llama.cpp and many others serve them.

Rules:
1. Usage comes in a last chunk without choices (OpenAI), with the finish (Mistral), in every chunk
   (vLLM on request), after the finish with an empty delta (LiteLLM), or in `x_groq` (Groq): it is
   cumulative, and the last wins.
2. The chunk that holds some text is by far the most frequent thing that an observer reads, so it
   is decoded into structs, and nothing is called for it that it does not need.
3. A field of a wrong type costs that field, not the chunk.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Request, loads, text_of
from sidelight_sidecar.observer.dialects.calls import Calls
from sidelight_sidecar.observer.dialects.timings import read_times, read_timings
from sidelight_sidecar.observer.dialects.usage import read_openai
from sidelight_sidecar.observer.exchange import Exchange

_FUNCTION = -1
"""Index of the one call that the legacy `function_call` makes."""


class Message(msgspec.Struct, gc=False):
    """A message or its delta; of any type, since engines differ and nothing here may fail."""

    role: Any = None
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class Choice(msgspec.Struct, gc=False):
    """One choice of a chunk or of a whole answer."""

    index: Any = 0
    delta: Message | None = None
    message: Message | None = None
    text: Any = None
    finish_reason: Any = None


class Answer(msgspec.Struct, gc=False):
    """A chunk, a whole answer, or an error."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    timings: Any = None
    error: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(Answer).decode
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class OpenAI(Dialect):
    """Chat and completions."""

    name: ClassVar[str] = "openai"

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._done = False
        self._index: object = None  # of the choice before
        self._calls: Calls | None = None
        self._call: tuple[object, object] | None = None  # choice and index of the piece before

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:  # noqa: ARG003
        """Whatever has choices."""
        return "choices" in answer

    def document(self, body: bytes) -> None:
        """A whole answer, or an error."""
        if self.refused(body):
            return
        answer = self._read(body)
        if answer is None:
            return
        self._common(answer, body)
        exchange = self.exchange
        for choice in answer.choices or ():
            exchange.choice(choice.index)
            exchange.finish(choice.index, choice.finish_reason)
            message = choice.message
            if choice.text or (message is not None and (_says(message) or _reasons(message))):
                exchange.has_output = True
            if message is not None:
                exchange.tool_calls += len(_calls_of(message)) + bool(message.function_call)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """One chunk, an error, or `[DONE]`."""
        try:
            answer = _decode(data)
        except _UNDECODABLE:
            read = self._no_chunk(name, data)
            if read is None:
                return 0
            answer = read
        if name == b"error" and not answer.error:
            answer.error = loads(data)
        self._common(answer, data)
        output = 0
        for choice in answer.choices or ():
            if choice.index != self._index:
                self._index = choice.index
                self.exchange.choice(choice.index)
            if self._output(choice, at_ns):
                output = 1
            if choice.finish_reason is not None:
                self.exchange.finish(choice.index, choice.finish_reason)
        return output

    def ended(self) -> bool:
        """`[DONE]`, or a reason to finish where a server sends none."""
        return self._done or bool(self.exchange.finishes)

    def _no_chunk(self, name: bytes, data: bytes) -> Answer | None:
        """What an event is that is no chunk by its types."""
        if data.strip() == b"[DONE]":
            self._done = True
            return None
        if name == b"error" and loads(data) is None:
            self.fail(data[: errors.MAX_SAID].decode("utf-8", "replace"))
            return None
        return self._read(data)

    def _read(self, data: bytes) -> Answer | None:
        try:
            return _decode(data)
        except _UNDECODABLE:
            loose = loads(data)
            if isinstance(loose, dict):
                return _loosely(loose)
            self.exchange.unread = "json"
            return None

    def _common(self, answer: Answer, data: bytes) -> None:
        """What chunks and whole answers have alike."""
        exchange = self.exchange
        if answer.error or answer.object == "error":
            self.fail(errors.error_in(loads(data)) or answer.error)
        if not exchange.model:
            exchange.model = text_of(answer.model)
        if not exchange.response_id:
            exchange.response_id = text_of(answer.id)
        usage = answer.usage
        if usage is None and isinstance(answer.x_groq, dict):
            usage = answer.x_groq.get("usage")
        if isinstance(usage, dict):
            read_openai(exchange, usage)
        if isinstance(answer.timings, dict):  # llama.cpp's, also where no usage was asked for
            read_times(exchange, answer.timings)
            if not isinstance(usage, dict):
                read_timings(exchange, answer.timings)

    def _output(self, choice: Choice, at_ns: int) -> bool:
        """Whether a choice of a chunk bears output."""
        exchange = self.exchange
        delta = choice.delta
        reasoning = False
        if delta is None:
            text = choice.text
            visible = bool(text)
        else:
            text = delta.content
            visible = _says(delta)
            reasoning = _reasons(delta)
            if delta.tool_calls is not None or delta.function_call is not None:
                self._count_calls(choice.index, delta)
        if visible or reasoning:
            if exchange.text is not None:
                self.keep(text)
                if delta is not None and (reasoning or not text or _says_more(delta)):
                    self._keep_rest(delta)
        elif text == "" and choice.finish_reason is None and not exchange.finishes:
            visible = delta is None or delta.role is None  # a token that decodes to nothing
        if not exchange.first_visible_ns and (visible or reasoning):
            exchange.output(at_ns, reasoning=reasoning, visible=visible)
        return visible or reasoning

    def _keep_rest(self, delta: Message) -> None:
        """Keep what the model wrote besides the content."""
        self.keep(delta.reasoning or delta.reasoning_content)
        self.keep(delta.refusal)
        for function in [*(call.get("function") for call in _calls_of(delta)), delta.function_call]:
            if isinstance(function, dict):
                self.keep(function.get("name"))
                self.keep(function.get("arguments"))

    def _count_calls(self, choice: object, delta: Message) -> None:
        calls = self._calls
        if calls is None:
            calls = self._calls = Calls()
        for piece in _calls_of(delta):
            place = (choice, piece.get("index"))
            if place == self._call and "id" not in piece:
                continue  # more arguments: nearly all are
            self._call = place if place[1] is not None else None
            function = piece.get("function")
            named = bool(function.get("name")) if isinstance(function, dict) else "type" in piece
            self.exchange.tool_calls += calls.piece(*place, piece.get("id"), named=named)
        if delta.function_call:
            self.exchange.tool_calls += calls.piece(choice, _FUNCTION, None, named=True)


def _says_more(message: Message) -> bool:
    """Whether a message holds anything besides its content and reasoning."""
    return bool(message.tool_calls or message.refusal or message.function_call)


def _says(message: Message) -> bool:
    """Whether a message holds anything but reasoning."""
    content = message.content
    if content:
        return not isinstance(content, list) or not all(map(_thinks, content))
    return bool(message.tool_calls or message.refusal or message.function_call or message.audio)


def _reasons(message: Message) -> bool:
    """Whether a message holds reasoning."""
    if message.reasoning or message.reasoning_content:
        return True
    return isinstance(message.content, list) and any(map(_thinks, message.content))


def _thinks(part: object) -> bool:
    """Whether a part of a content is reasoning (Mistral's form of it)."""
    return isinstance(part, dict) and part.get("type") == "thinking"


def _calls_of(message: Message) -> list[dict[str, Any]]:
    """The tool calls of a message, or pieces of them; TGI before 2.0 sent one without a list."""
    calls = message.tool_calls
    if isinstance(calls, dict):
        return [calls]
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _loosely(answer: dict[str, Any]) -> Answer:
    """As much of a chunk or answer as has the right types."""
    read = msgspec.convert({**answer, "choices": None}, Answer)
    choices = answer.get("choices")
    if isinstance(choices, list):
        read.choices = [_choice(choice) for choice in choices if isinstance(choice, dict)]
    return read


def _choice(choice: dict[str, Any]) -> Choice:
    read = msgspec.convert({**choice, "delta": None, "message": None}, Choice)
    delta, message = choice.get("delta"), choice.get("message")
    read.delta = msgspec.convert(delta, Message) if isinstance(delta, dict) else None
    read.message = msgspec.convert(message, Message) if isinstance(message, dict) else None
    return read

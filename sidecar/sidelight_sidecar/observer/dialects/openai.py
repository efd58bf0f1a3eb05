"""OpenAI chat and completions, as vLLM, SGLang, llama.cpp and many others serve them."""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects.base import Dialect, count, text_of

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


_answer = msgspec.json.Decoder(Answer)


class OpenAI(Dialect):
    """Chat and completions."""

    name: ClassVar[str] = "openai"
    _done = False

    def document(self, body: bytes) -> None:
        """A whole answer, or an error."""
        answer = self.decode(_answer, body)
        if answer is None:
            return
        self._common(answer)
        for choice in answer.choices or ():
            self._finish(choice)
            message = choice.message
            if choice.text or (message is not None and (_says(message) or _reasons(message))):
                self.exchange.has_output = True

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """One chunk, an error, or `[DONE]`."""
        if data == b"[DONE]":
            self._done = True
            return 0
        answer = self.decode(_answer, data)
        if answer is None:
            return 0
        if name == b"error" and not answer.error:
            answer.error = True
        self._common(answer)
        output = False
        for choice in answer.choices or ():
            self._finish(choice)
            output |= self._output(choice, at_ns)
        return int(output)

    def ended(self) -> bool:
        """`[DONE]`, or a reason to finish where a server sends none."""
        return self._done or bool(self.exchange.finishes)

    def _common(self, answer: Answer) -> None:
        exchange = self.exchange
        if answer.error or answer.object == "error":
            self._error(answer)
        if isinstance(answer.model, str) and answer.model:
            exchange.model = answer.model
        if isinstance(answer.id, str):
            exchange.response_id = text_of(answer.id)
        if isinstance(answer.usage, dict):
            self._usage(answer.usage)

    def _error(self, answer: Answer) -> None:
        fault = answer.error if isinstance(answer.error, dict) else {
            "type": answer.type, "code": answer.code, "message": answer.message or answer.error,
        }  # fmt: skip
        said = " ".join(str(fault.get(key)) for key in ("type", "code", "message")).lower()
        if any(word in said for word in _CONTEXT_WORDS):
            self.exchange.error = "context_length"
        else:
            self.fail()

    def _usage(self, usage: dict[str, Any]) -> None:
        exchange = self.exchange
        exchange.prompt_tokens = count(usage.get("prompt_tokens"), exchange.prompt_tokens)
        exchange.output_tokens = count(usage.get("completion_tokens"), exchange.output_tokens)
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            exchange.cached_tokens = count(details.get("cached_tokens"), 0) or 0
        details = usage.get("completion_tokens_details")
        if isinstance(details, dict):
            exchange.reasoning_tokens = count(details.get("reasoning_tokens"), 0) or 0

    def _finish(self, choice: Choice) -> None:
        if self.exchange.choice(choice.index):
            self.exchange.finish(choice.index, choice.finish_reason)

    def _output(self, choice: Choice, at_ns: int) -> bool:
        """Whether a choice of a chunk bears output."""
        delta = choice.delta
        if delta is None:
            text = choice.text
            visible = bool(text) or (text == "" and choice.finish_reason is None)
            reasoning = False
            self.keep(text)
        else:
            text = delta.content
            reasoning = _reasons(delta)
            visible = _says(delta)
            if text == "" and not (reasoning or visible):  # a token that decodes to nothing
                visible = delta.role is None and choice.finish_reason is None
            self.keep(text)
            self.keep(delta.reasoning or delta.reasoning_content)
        if visible or reasoning:
            self.exchange.output(at_ns, reasoning=reasoning, visible=visible)
        return visible or reasoning


def _says(message: Message) -> bool:
    """Whether a message holds anything but reasoning."""
    return bool(
        message.content
        or message.tool_calls
        or message.refusal
        or message.function_call
        or message.audio
    )


def _reasons(message: Message) -> bool:
    """Whether a message holds reasoning."""
    return bool(message.reasoning or message.reasoning_content)

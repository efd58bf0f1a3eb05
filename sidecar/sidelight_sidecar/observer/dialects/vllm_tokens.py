"""vLLM's `/inference/v1/generate`: token ids in, token ids out, within OpenAI's choices.

The ids are counted where usage does not come with them: each is a token, by the engine's word. The
answer does not say which model it is from.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects.base import Dialect, Request, text_of
from sidelight_sidecar.observer.dialects.usage import read_openai
from sidelight_sidecar.observer.exchange import Exchange


class _Choice(msgspec.Struct):
    index: Any = 0
    token_ids: Any = None
    finish_reason: Any = None


class _Answer(msgspec.Struct):
    request_id: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_answer = msgspec.json.Decoder(_Answer)


class VllmTokens(Dialect):
    """Answers of tokens."""

    name: ClassVar[str] = "vllm_tokens"

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._tokens = 0
        self._done = False

    def document(self, body: bytes) -> None:
        """The whole answer."""
        if self.refused(body):
            return
        answer = self.decode(_answer, body)
        if answer is not None:
            self.exchange.has_output = self._read(answer)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """Further tokens, an error, or `[DONE]`."""
        if data == b"[DONE]":
            self._done = True
            return 0
        answer = self.decode(_answer, data)
        if answer is None or not self._read(answer):
            return 0
        self.exchange.output(at_ns)
        return 1

    def ended(self) -> bool:
        """`[DONE]`, or a reason for each choice."""
        return self._done or 0 < self.exchange.choices == len(self.exchange.finishes)

    def _read(self, answer: _Answer) -> bool:
        exchange = self.exchange
        if answer.error:
            self.fail(answer.error)
        exchange.response_id = text_of(answer.request_id) or exchange.response_id
        before = self._tokens
        for choice in answer.choices or ():
            if not exchange.choice(choice.index):
                continue
            exchange.finish(choice.index, choice.finish_reason)
            if isinstance(choice.token_ids, list):
                self._tokens += len(choice.token_ids)
        if self._tokens:
            exchange.output_tokens = self._tokens
        if isinstance(answer.usage, dict):
            read_openai(exchange, answer.usage)
        return self._tokens > before

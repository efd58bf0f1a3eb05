"""llama.cpp's own API: `/completion` (also `/completions`) and `/infill`.

Every event says how many tokens there are so far; the last of each choice has `stop`. No `[DONE]`.
`tokens_cached` is what the slot holds afterwards, not what came from the cache: that is
`timings.cache_n`, or in servers without it what `prompt_n` leaves of `tokens_evaluated`.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects.base import Dialect, Request, count, loads, text_of
from sidelight_sidecar.observer.dialects.per_choice import PerChoice
from sidelight_sidecar.observer.dialects.timings import read_times
from sidelight_sidecar.observer.exchange import Exchange


class _Asked(msgspec.Struct):
    n: Any = None
    n_cmpl: Any = None


class _Answer(msgspec.Struct):
    content: Any = None
    index: Any = 0
    stop: Any = None
    stop_type: Any = None
    stopped_eos: Any = None
    stopped_limit: Any = None
    stopped_word: Any = None
    model: Any = None
    tokens_predicted: Any = None
    tokens_evaluated: Any = None
    timings: Any = None
    error: Any = None


_asked = msgspec.json.Decoder(_Asked)
_answer = msgspec.json.Decoder(_Answer)
_document: msgspec.json.Decoder[_Answer | list[_Answer]] = msgspec.json.Decoder(
    _Answer | list[_Answer]
)
_EMPTY = (b"null", b"[DONE]")
"""A server that is sent several prompts begins its stream with a null."""
_BEFORE_STOP_TYPE = (("stopped_eos", "eos"), ("stopped_limit", "limit"), ("stopped_word", "word"))
"""How servers before 2025 said why they stopped."""


class LlamaCpp(Dialect):
    """Answers of the native completion."""

    name: ClassVar[str] = "llamacpp"
    engines: ClassVar[frozenset[str]] = frozenset({"LlamaCpp"})
    needs_request = True

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        asked = None
        if request.body:
            try:
                asked = _asked.decode(request.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                asked = None  # the server will say what it thinks of it
        self.needs_request = False
        self._counts = PerChoice(exchange, (asked.n_cmpl or asked.n or 1) if asked else 1)
        self._stopped: set[int] = set()

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:  # noqa: ARG003
        """Content that is not within choices, and the word whether it is the last."""
        return "content" in answer and "stop" in answer

    def document(self, body: bytes) -> None:
        """One answer, or a list of them for several prompts or choices."""
        if self.refused(body):
            return
        answer = self.decode(_document, body)
        for one in answer if isinstance(answer, list) else [answer]:
            if one is not None:
                self._read(one)
                self.exchange.has_output |= bool(one.content)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """One piece of a choice, or an error."""
        if data in _EMPTY:
            return 0
        answer = self.decode(_answer, data)
        if answer is None:
            return 0
        if name == b"error" and not answer.error:
            answer.error = loads(data)
        self._read(answer)
        content = answer.content
        if not isinstance(content, str) or (content == "" and answer.stop is not False):
            return 0
        self.keep(content)
        self.exchange.output(at_ns)
        return 1

    def ended(self) -> bool:
        """Each choice said that it stopped."""
        return bool(self._stopped) and len(self._stopped) >= self.exchange.choices

    def _read(self, answer: _Answer) -> None:
        exchange = self.exchange
        if answer.error:
            self.fail(answer.error)
        exchange.model = text_of(answer.model) or exchange.model
        index = answer.index
        if answer.content is None or not exchange.choice(index):
            return
        timings = answer.timings if isinstance(answer.timings, dict) else {}
        self._counts.set(
            index,
            prompt=answer.tokens_evaluated,
            output=answer.tokens_predicted,
            cached=_cached(answer.tokens_evaluated, timings),
        )
        if answer.stop is True:
            if timings:
                read_times(exchange, timings)
            self._stopped.add(index)
            exchange.finish(index, _reason(answer))


def _cached(prompt: object, timings: dict[str, Any]) -> int | None:
    cached = count(timings.get("cache_n"))
    if cached is None:
        whole, computed = count(prompt), count(timings.get("prompt_n"))
        if whole is not None and computed is not None and computed <= whole:
            cached = whole - computed
    return cached


def _reason(answer: _Answer) -> str:
    """Why it stopped, as newer servers spell it; empty when it does not say."""
    if isinstance(answer.stop_type, str):
        return "" if answer.stop_type == "none" else answer.stop_type
    for field, reason in _BEFORE_STOP_TYPE:
        if getattr(answer, field) is True:
            return reason
    return ""

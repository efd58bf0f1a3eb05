"""SGLang's own `/generate`.

Each event of a stream has everything so far: the whole text, unless the server streams
incrementally, and in `meta_info` the counts so far, always. Answers to several prompts, or with
`n` > 1, come as a list; in a stream each event then has the index of its choice. What goes wrong
after the stream has begun is an event with `error`, or a choice that ends with `abort`.
The answer does not say which model it is from.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects.base import Dialect, Request, text_of
from sidelight_sidecar.observer.dialects.per_choice import PerChoice
from sidelight_sidecar.observer.exchange import Exchange


class _Asked(msgspec.Struct):
    sampling_params: Any = None


class _Answer(msgspec.Struct):
    text: Any = None
    output_ids: Any = None
    meta_info: Any = None
    index: Any = None
    error: Any = None
    message: Any = None
    object: Any = None


_ASKED_WITH = ("sampling_params", "input_ids")
_asked = msgspec.json.Decoder(_Asked)
_answer = msgspec.json.Decoder(_Answer)
_document: msgspec.json.Decoder[_Answer | list[_Answer]] = msgspec.json.Decoder(
    _Answer | list[_Answer]
)


class SGLang(Dialect):
    """Answers of the native generation."""

    name: ClassVar[str] = "sglang"
    engines: ClassVar[frozenset[str]] = frozenset({"SGLang"})
    needs_request = True

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._counts = PerChoice(exchange, _choices_asked(request))
        self._lengths: dict[int, int] = {}
        self._done = False
        self.needs_request = False

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:
        """Nobody else has a `meta_info`, nor is asked for with these."""
        if "error" in answer:
            return not request.json().keys().isdisjoint(_ASKED_WITH)
        return isinstance(answer.get("meta_info"), dict)

    def document(self, body: bytes) -> None:
        """One answer, or a list of them."""
        if self.refused(body):
            return
        answer = self.decode(_document, body)
        for index, one in enumerate(answer if isinstance(answer, list) else [answer]):
            if one is not None:
                self._read(one, index)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:  # noqa: ARG002
        """What there is so far of one choice, an error, or `[DONE]`."""
        if data == b"[DONE]":
            self._done = True
            return 0
        answer = self.decode(_answer, data)
        if answer is None or not self._read(answer, answer.index or 0):
            return 0
        self.exchange.output(at_ns)
        return 1

    def ended(self) -> bool:
        """`[DONE]`; a reason to finish is not enough while other choices go on."""
        return self._done or 0 < self.exchange.choices == len(self.exchange.finishes)

    def _read(self, answer: _Answer, index: object) -> bool:
        """Take it in; say whether it has more output than there was."""
        exchange = self.exchange
        if answer.error or answer.object == "error":
            self.fail(answer.error or answer.message)
        if not exchange.choice(index):
            return False
        assert isinstance(index, int)
        before = self._counts.output_of(index)
        if isinstance(answer.meta_info, dict):
            self._meta(answer.meta_info, index)
        after = self._counts.output_of(index)
        longer = self._longer(answer, index)
        if longer:
            exchange.has_output = True
        return after > before if after else longer

    def _longer(self, answer: _Answer, index: int) -> bool:
        text = answer.text
        length = len(text) if isinstance(text, str) else 0
        if isinstance(answer.output_ids, list) and not length:
            length = len(answer.output_ids)
        longer = length > self._lengths.get(index, 0)
        self._lengths[index] = length
        return longer

    def _meta(self, meta: dict[str, Any], index: int) -> None:
        exchange = self.exchange
        if not exchange.response_id:
            exchange.response_id = text_of(meta.get("id"))
        self._counts.set(
            index,
            prompt=meta.get("prompt_tokens"),
            output=meta.get("completion_tokens"),
            cached=meta.get("cached_tokens"),
            reasoning=meta.get("reasoning_tokens"),
        )
        reason = meta.get("finish_reason")
        if isinstance(reason, dict):
            exchange.finish(index, reason.get("type"))
            if reason.get("type") == "abort":
                self.fail({
                    "message": reason.get("message"), "type": reason.get("err_type"),
                    "code": reason.get("status_code"),
                })  # fmt: skip
        else:
            exchange.finish(index, reason)


def _choices_asked(request: Request) -> object:
    """`n` of the request."""
    if not request.body:
        return 1
    try:
        parameters = _asked.decode(request.body).sampling_params
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 1
    if isinstance(parameters, list) and parameters:
        parameters = parameters[0]
    return parameters.get("n", 1) if isinstance(parameters, dict) else 1

"""Lamini's streaming completions, which are no stream: the client polls.

Since version 3 a POST gives an `id`, and GETs of `.../ID/result` give `outputs` and
`finish_reason` so far, one of each for each prompt, until no reason is null. Before, the same POST
was sent again and again, later with the `server` that the first answer named, and gave `data` and
`status`. What becomes of the polls is told in `logical`. The answers do not name the model: it is
the request's, once the server has accepted it. Tokens are not known.
"""

import hashlib
import re
from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects.base import Dialect, Headers, Request, text_of
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.poll import Poll

OPERATION = "text_completion"
_RESULT = re.compile(r"/([^/]+)/result$")
_MAX_NAME = 128


class _Asked(msgspec.Struct):
    model_name: Any = None
    server: Any = None


class _Answer(msgspec.Struct):
    id: Any = None
    outputs: Any = None
    output: Any = None
    data: Any = None
    status: Any = None
    finish_reason: Any = None
    error: Any = None
    detail: Any = None


_asked = msgspec.json.Decoder(_Asked)
_whole = msgspec.json.Decoder(dict[str, msgspec.Raw])
_answer = msgspec.json.Decoder(_Answer)


class Lamini(Dialect):
    """One poll, or the POST before them."""

    name: ClassVar[str] = "lamini"
    needs_request = True

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._model, self._server = "", False
        self._key = ""
        self.needs_request = False
        if request.method == "GET":
            found = _RESULT.search(request.path)
            self._key = found[1][:256] if found else ""
        elif request.body:
            self._ask(request.body)

    def head(self, status: int, headers: Headers) -> None:
        """A request that is refused at once is no poll of anything: it is all there is."""
        super().head(status, headers)
        exchange = self.exchange
        if not exchange.error:
            return
        if self.request.method == "POST" and not self._server:
            exchange.operation = OPERATION
            exchange.generating = True
        elif self._key:
            exchange.poll = Poll(self._key, begins=False)

    def document(self, body: bytes) -> None:
        """What there is so far."""
        exchange = self.exchange
        if self.refused(body):
            return
        answer = self.decode(_answer, body)
        if answer is None or not self._key:
            return
        if answer.error:
            self.fail(answer.error)
        posted = self.request.method == "POST"
        if posted and isinstance(answer.id, str):
            self._key = answer.id[:256]
        exchange.response_id = text_of(answer.id)
        exchange.poll = Poll(
            self._key,
            posted,
            _length(answer),
            _done(answer),
            _finishes(answer),
            self._model,
            self.name,
            OPERATION,
        )

    def _ask(self, body: bytes) -> None:
        """The request's model, and a name for the request that holds none of its words."""
        try:
            asked = _asked.decode(body)
            fields = _whole.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        self._model = text_of(asked.model_name, _MAX_NAME)
        self._server = asked.server is not None
        fields.pop("server", None)
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(fields):
            digest.update(name.encode() + b"\0" + bytes(fields[name]) + b"\0")
        self._key = digest.hexdigest()


def _outputs(answer: _Answer) -> list[Any]:
    for outputs in (answer.outputs, answer.data, answer.output):
        if outputs is not None:
            return outputs if isinstance(outputs, list) else [outputs]
    return []


def _length(answer: _Answer) -> int:
    """Characters of all outputs; one of several fields counts as it is written."""
    return sum(
        [len(one) if isinstance(one, str) else len(str(one)) for one in _outputs(answer) if one]
    )


def _done(answer: _Answer) -> bool:
    reasons = answer.finish_reason
    if isinstance(reasons, list):
        return bool(reasons) and all(reason is not None for reason in reasons)
    if reasons is not None:
        return True
    status = answer.status
    return isinstance(status, list) and bool(status) and all(one is True for one in status)


def _finishes(answer: _Answer) -> tuple[str, ...]:
    reasons = answer.finish_reason
    several = reasons if isinstance(reasons, list) else [reasons]
    return tuple([reason if isinstance(reason, str) else "" for reason in several[:128]])

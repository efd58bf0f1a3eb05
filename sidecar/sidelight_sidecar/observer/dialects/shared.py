"""Paths that several engines serve, each in its own way (`/generate`, `/`, `/predict`).

Rules:
1. The engine that was configured settles it, where one of the candidates is that engine's.
2. Else each candidate is asked, in order, whether the first thing that the answer says fits it.
3. Where none fits, the exchange is no inference after all: `other`, and nothing is made up.
"""

from collections.abc import Callable

from sidelight_sidecar.observer.dialects.base import Dialect, Framing, Headers, Request, loads
from sidelight_sidecar.observer.exchange import OTHER, Exchange

MAX_QUESTIONS = 8
"""Events of a stream after which it will not become clear any more."""
_MAX_VALUE = 64
_NOT_SERVED = (404, 405)


class Chooser(Dialect):
    """Reads the answer through the first candidate that fits it."""

    def __init__(
        self, exchange: Exchange, request: Request, candidates: tuple[type[Dialect], ...]
    ) -> None:
        super().__init__(exchange, request)
        self._candidates = candidates
        self._chosen: Dialect | None = None
        self._head: tuple[int, Headers] = (0, {})
        self._questions = 0
        self.needs_request = any(candidate.needs_request for candidate in candidates)
        for candidate in candidates:
            if request.engine in candidate.engines:
                self._choose(candidate)
                break

    def framing(self, content_type: str) -> Framing:
        """As the chosen one says; else by the content type alone."""
        if self._chosen is not None:
            return self._chosen.framing(content_type)
        return super().framing(content_type)

    def head(self, status: int, headers: Headers) -> None:
        """The chosen one's, now or later."""
        self._head = (
            status,
            {
                name: headers[name][:_MAX_VALUE]
                for candidate in self._candidates
                for name in candidate.late_headers
                if name in headers
            },
        )
        if self._chosen is not None:
            self.exchange.dialect = self._chosen.name  # the transaction knew this class alone
            self._chosen.head(status, headers)
        else:
            super().head(status, headers)
            if status in _NOT_SERVED or (status < 400 and headers.get(b"content-length") == b"0"):
                self._none()

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """The chosen one's; the first ones choose."""
        if self._chosen is None and self._questions < MAX_QUESTIONS:
            self._questions += 1
            self._ask(data)
            if self._chosen is None and self._questions == MAX_QUESTIONS:
                self._none()
        return self._chosen.event(name, data, at_ns) if self._chosen is not None else 0

    def document(self, body: bytes) -> None:
        """The chosen one's; the whole answer chooses."""
        if self._chosen is None:
            self._ask(body)
        if self._chosen is not None:
            self._chosen.document(body)
        elif not self.exchange.error:
            self._none()

    def trailers(self, headers: Headers) -> None:
        """The chosen one's."""
        if self._chosen is not None:
            self._chosen.trailers(headers)

    def ended(self) -> bool:
        """As the chosen one says."""
        return self._chosen is None or self._chosen.ended()

    def _ask(self, data: bytes) -> None:
        answer = loads(data)
        if isinstance(answer, list) and answer:  # TGI's `/` answers with a list of one
            answer = answer[0]
        if not isinstance(answer, dict):
            answer = {}  # plain text; a candidate may know it by the request
        for candidate in self._candidates:
            if candidate.fits(self.request, answer):
                self._choose(candidate)
                return

    def _choose(self, candidate: type[Dialect]) -> None:
        self._chosen = chosen = candidate(self.exchange, self.request)
        self.exchange.dialect = chosen.name
        self.tokens_each = chosen.tokens_each
        if self._head[0]:
            chosen.head(*self._head)

    def _none(self) -> None:
        self.exchange.operation = OTHER
        self.exchange.generating = False


def shared(*candidates: type[Dialect]) -> Callable[[Exchange, Request], Dialect]:
    """A `Route.dialect` that leaves it to the candidates, the likeliest first."""

    def choose(exchange: Exchange, request: Request) -> Dialect:
        return Chooser(exchange, request, candidates)

    return choose

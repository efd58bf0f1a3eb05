"""Two ends of HTTP/2 (the library h2) that talk in memory, with all that passes between them."""

from __future__ import annotations

from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import H2Connection
from observed import Script

Fields = list[tuple[str, str]]


def post(path: str = "/v1/chat/completions", *more: tuple[str, str]) -> Fields:
    """Headers of a request."""
    return [
        (":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"),
        ("content-type", "application/json"), *more,
    ]  # fmt: skip


def reply(
    status: int = 200, content_type: str = "text/event-stream", *more: tuple[str, str]
) -> Fields:
    """Headers of a response."""
    return [(":status", str(status)), ("content-type", content_type), *more]


class Http2Pair:
    """A client and an engine; each `send` moves what one of them has to say to the other.

    Attributes:
        passed: `(of the engine, bytes)`, in their order.
    """

    def __init__(self, *, greet: bool = True) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.engine = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.passed: list[tuple[bool, bytes]] = []
        if greet:
            self.client.initiate_connection()
            self.engine.initiate_connection()
            self.send()

    def send(self) -> None:
        """Let both say all that they have to say, the client first."""
        while True:
            up = self.client.data_to_send()
            down = self.engine.data_to_send()
            if not up and not down:
                return
            self.record(up, down)
            if up:
                self.engine.receive_data(up)
            if down:
                self.client.receive_data(down)

    def record(self, up: bytes = b"", down: bytes = b"") -> None:
        """Note bytes as passed; the ends do not get them from here."""
        self.passed += [(of, data) for of, data in ((False, up), (True, down)) if data]

    def request(self, fields: Fields, body: bytes = b"", *, end: bool = True) -> int:
        """Send a request; return its stream."""
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, fields, end_stream=end and not body)
        self.send()
        if body:
            self.client.send_data(stream, body, end_stream=end)
            self.send()
        return stream

    def say(self, stream: int, *pieces: bytes, end: bool = False) -> None:
        """Let the engine send data, each piece by itself."""
        for piece in pieces:
            self.engine.send_data(stream, piece)
            self.send()
        if end:
            self.engine.end_stream(stream)
            self.send()

    def answer(self, stream: int, fields: Fields, *pieces: bytes, trailers: Fields = ()) -> None:  # type: ignore[assignment]
        """Let the engine answer with these pieces, and trailers if there are any."""
        self.engine.send_headers(stream, fields)
        self.send()
        self.say(stream, *pieces, end=not trailers)
        if trailers:
            self.engine.send_headers(stream, trailers, end_stream=True)
            self.send()

    def script(self, passed: Iterable[tuple[bool, bytes]] | None = None) -> Script:
        """All that passed, as frames."""
        script = Script()
        for of_engine, data in self.passed if passed is None else passed:
            (script.engine if of_engine else script.client)(data)
        return script

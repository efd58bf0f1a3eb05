"""Streamed chats that are read slowly, in part or not at all; and an engine that stands still."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time


class Chat:
    """A streamed chat on a raw socket, read as one pleases.

    Args:
        address: host and port.
        words: what is said.
        tokens: so many are answered.
        upload_seconds: pause before the request's last byte.
        settings: further fields of the request.
    """

    def __init__(
        self,
        address: tuple[str, int],
        words: str,
        tokens: int,
        *,
        upload_seconds: float = 0.0,
        **settings: object,
    ) -> None:
        self.began = time.monotonic()
        body = json.dumps({
            "messages": [{"role": "user", "content": words}], "stream": True,
            "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
            "stream_options": {"include_usage": True}, **settings,
        }).encode()  # fmt: skip
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.received = b""
        self.socket = socket.socket()
        try:
            self._send(address, head.encode() + body, upload_seconds)
        except OSError:
            self.socket.close()
            raise

    def _send(self, address: tuple[str, int], request: bytes, upload_seconds: float) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(address)
        if upload_seconds:
            self.socket.sendall(request[:-1])
            time.sleep(upload_seconds)
            request = request[-1:]
        self.socket.sendall(request)

    @property
    def lasted(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self.began

    def ended(self) -> bool:
        """Whether the whole answer is here already."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data := self.socket.recv(65536):
                self.received += data
        self.socket.settimeout(60)
        return b"[DONE]" in self.received

    def until(self, chunks: int) -> Chat:
        """Read so many chunks with content."""
        while self.received.count(b'"content":"') < chunks:
            data = self.socket.recv(65536)
            assert data, self.received[-300:]
            self.received += data
        return self

    def rest(self) -> None:
        """Read all."""
        with self.socket:
            while data := self.socket.recv(65536):
                self.received += data
        assert self.received.startswith(b"HTTP/1.1 200"), self.received[:300]


def stop_in_the_midst(pid: int, chat: Chat) -> bool:
    """Let the engine's process stand still for three times as long as `chat` has lasted, two
    seconds at least: the stall itself, not a wait for something. Whether it hit the answer; it may
    have been over.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(max(2.0, 3 * chat.lasted))
        return not chat.ended()
    finally:
        os.kill(pid, signal.SIGCONT)

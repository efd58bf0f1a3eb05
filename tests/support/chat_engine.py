"""A chat server for a process of its own: `python chat_engine.py ADDRESS PORT`.

The request's body says what to do: `{"id": n, "size": n}` or
`{"id": n, "stream": true, "chunks": n, "hang": bool}`. Chunks of a stream are 10 ms apart. `hang`:
after the chunks nothing more is said until the client has gone.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE_SECONDS = 0.01


class Server(ThreadingHTTPServer):
    """Both families."""

    daemon_threads = True
    address_family = socket.AF_INET6


class Chat(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body go together

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        if asked.get("stream"):
            self._stream(asked)
        else:
            self._whole(asked)

    def _whole(self, asked: dict[str, int]) -> None:
        message = {"role": "assistant", "content": "x" * asked.get("size", 1)}
        body = json.dumps(
            {
                "id": f"chatcmpl-{asked['id']}",
                "model": f"m{asked['id']}",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": asked["id"], "completion_tokens": 2},
            }
        ).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, asked: dict[str, int]) -> None:
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for number in range(asked["chunks"]):
            time.sleep(PAUSE_SECONDS)
            delta = {"content": f"t{number}"}
            self._event(asked["id"], [{"index": 0, "delta": delta, "finish_reason": None}])
        if asked.get("hang"):
            with contextlib.suppress(ConnectionResetError):
                self.connection.recv(1)
            self.close_connection = True
            return
        self._event(asked["id"], [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        usage = {"prompt_tokens": asked["id"], "completion_tokens": asked["chunks"]}
        self._event(asked["id"], [], usage)
        done = b"data: [DONE]\n\n"
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))
        self.wfile.flush()

    def _event(self, number: int, choices: list[object], usage: object = None) -> None:
        body = {"id": f"chatcmpl-{number}", "model": f"m{number}", "choices": choices}
        event = (
            b"data: " + json.dumps(body | ({"usage": usage} if usage else {})).encode() + b"\n\n"
        )
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    with Server((sys.argv[1], int(sys.argv[2])), Chat) as server:
        print("up", flush=True)  # noqa: T201
        server.serve_forever()

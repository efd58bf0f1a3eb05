"""A vLLM that generates nothing, for a process of its own: `python fake_vllm.py PORT`.

It serves the model `base` and its LoRA adapters `sql` and `poems`, in vLLM's formats: /v1/models
with parents, /version, chats that are answered with the name that was asked for, 404 for others.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = "base"
ADAPTERS = ("sql", "poems")
PROMPT_TOKENS = 5
WORDS = ("one", " two", " three")


def card(name: str) -> dict[str, object]:
    """What /v1/models says of a model."""
    adapter = name in ADAPTERS
    return {
        "id": name, "object": "model", "created": 1764000000, "owned_by": "vllm",
        "root": f"/adapters/{name}" if adapter else "org/base-1b",
        "parent": BASE if adapter else None,
        "max_model_len": None if adapter else 4096,
        "permission": [{"id": "modelperm-0", "object": "model_permission", "allow_view": True}],
    }  # fmt: skip


class Vllm(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Models and version."""
        if self.path == "/v1/models":
            models = [card(name) for name in (BASE, *ADAPTERS)]
            self._document(200, {"object": "list", "data": models})
        elif self.path == "/version":
            self._document(200, {"version": "0.33.0"})
        else:
            self._document(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        """A chat, of the model that is asked for."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = asked.get("model")
        if self.path != "/v1/chat/completions":
            self._document(404, {"detail": "Not Found"})
        elif model not in (BASE, *ADAPTERS):
            error = {"message": f"The model `{model}` does not exist.", "type": "NotFoundError"}
            self._document(404, {"error": {**error, "param": "model", "code": 404}})
        elif asked.get("stream"):
            self._stream(model)
        else:
            message = {"role": "assistant", "content": "".join(WORDS)}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            self._document(200, {**_head("chat.completion", model), "choices": [choice], **_USAGE})

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = _head("chat.completion.chunk", model)
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in WORDS]
        for delta in deltas:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
            self._event(json.dumps({**head, "choices": [choice]}))
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "stop_reason": None}
        self._event(json.dumps({**head, "choices": [last]}))
        self._event(json.dumps({**head, "choices": [], **_USAGE}))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()

    def _document(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _head(kind: str, model: str) -> dict[str, object]:
    return {"id": "chatcmpl-0", "object": kind, "created": 1764000000, "model": model}


_USAGE = {
    "usage": {
        "prompt_tokens": PROMPT_TOKENS, "completion_tokens": len(WORDS),
        "total_tokens": PROMPT_TOKENS + len(WORDS),
    }
}  # fmt: skip


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Vllm) as server:
        server.serve_forever()

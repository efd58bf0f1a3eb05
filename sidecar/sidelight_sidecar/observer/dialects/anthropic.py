"""Anthropic messages (`/v1/messages`), which vLLM, SGLang, llama.cpp and Ollama serve too.

Rules:
1. `message_start` brings model, id and the prompt's tokens; `message_delta` the reason to stop and
   the output's, and often revises the prompt's. Each count is cumulative: the last wins. The output
   tokens that `message_start` names are a beginning, not a count, and are left aside.
2. `input_tokens` leaves out what was read from a cache or written to it. Here it is included.
3. Text, thinking and arguments of calls are output; so is the beginning of a call, for it may have
   no arguments; `message_start`, `ping`, signatures and the blocks of a server's tools are not.
4. `message_stop` ends a stream.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Request, count, loads, text_of
from sidelight_sidecar.observer.dialects.usage import read
from sidelight_sidecar.observer.exchange import Exchange

_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})


class _Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: Any = None
    delta: Any = None
    content_block: Any = None
    message: Any = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class Anthropic(Dialect):
    """Messages, streamed or whole."""

    name: ClassVar[str] = "anthropic"

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._stopped = False
        self._prompt: dict[str, int] = {}

    def document(self, body: bytes) -> None:
        """The whole message, or an error."""
        if self.refused(body):
            return
        message = loads(body)
        if not isinstance(message, dict):
            self.exchange.unread = "json"
            return
        fault = errors.error_in(message)
        if fault is not None:
            self.fail(fault)
            return
        self._message(message)
        self._usage(message.get("usage"), whole=True)
        blocks = message.get("content")
        for block in blocks if isinstance(blocks, list) else ():
            if isinstance(block, dict) and self._block(block):
                self.exchange.has_output = True

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """One event."""
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if name == b"error":
                self.fail(data[: errors.MAX_SAID].decode("utf-8", "replace"))
            elif data.strip() != b"[DONE]":
                self.exchange.unread = "json"
            return 0
        kind = event.type
        if kind == "content_block_delta":
            return self._delta(event.delta, at_ns) if isinstance(event.delta, dict) else 0
        if kind == "content_block_start":
            return self._begin(event.content_block, at_ns)
        if kind == "message_start" and isinstance(event.message, dict):
            self._message(event.message)
            self._usage(event.message.get("usage"), whole=False)
        elif kind == "message_delta":
            if isinstance(event.delta, dict):
                self._stop(event.delta.get("stop_reason"))
            self._usage(event.usage, whole=True)
        elif kind == "message_stop":
            self._stopped = True
        elif kind == "error" or name == b"error":
            answer = loads(data)
            self.fail(errors.error_in(answer) if isinstance(answer, dict) else None)
        return 0

    def ended(self) -> bool:
        """`message_stop` came."""
        return self._stopped

    def _message(self, message: dict[str, Any]) -> None:
        self.exchange.choice(0)
        self.exchange.model = text_of(message.get("model"))
        self.exchange.response_id = text_of(message.get("id"))
        self._stop(message.get("stop_reason"))

    def _stop(self, reason: object) -> None:
        self.exchange.finish(0, reason)

    def _usage(self, usage: object, *, whole: bool) -> None:
        """Merge usage; `whole`: what it says of the output is a count."""
        if not isinstance(usage, dict):
            return
        prompt = self._prompt
        for part in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            tokens = count(usage.get(part))
            if tokens is not None:
                prompt[part] = tokens
        details = usage.get("output_tokens_details")
        read(
            self.exchange,
            sum(prompt.values()) if "input_tokens" in prompt else None,
            usage.get("output_tokens") if whole else None,
            cached=prompt.get("cache_read_input_tokens"),
            reasoning=details.get("thinking_tokens") if isinstance(details, dict) else None,
        )

    def _block(self, block: dict[str, Any]) -> bool:
        """Count the call that a block may be; say whether the block holds output."""
        kind = block.get("type")
        if kind == "tool_use":
            self.exchange.tool_calls += 1
            return True
        if isinstance(kind, str) and kind in _SERVER_CALLS:
            self.exchange.server_tool_calls += 1
            return False
        held = kind in ("text", "thinking", "redacted_thinking")
        return held and bool(block.get("text") or block.get("thinking") or block.get("data"))

    def _begin(self, block: object, at_ns: int) -> int:
        if not isinstance(block, dict) or not self._block(block):
            return 0
        reasoning = block.get("type") in ("thinking", "redacted_thinking")
        self.exchange.output(at_ns, reasoning=reasoning, visible=not reasoning)
        self.keep(block.get("text") or block.get("thinking"))
        return 1

    def _delta(self, delta: dict[str, Any], at_ns: int) -> int:
        kind = delta.get("type")
        reasoning = kind == "thinking_delta"
        if reasoning:
            piece = delta.get("thinking")
        elif kind == "text_delta":
            piece = delta.get("text")
        else:
            piece = delta.get("partial_json") if kind == "input_json_delta" else None
        if not piece:
            return 0
        self.exchange.output(at_ns, reasoning=reasoning, visible=not reasoning)
        self.keep(piece)
        return 1

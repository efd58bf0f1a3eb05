"""OpenAI responses (`/v1/responses`).

A stream is a sequence of typed events; every type that ends in `.delta` brings a piece of output.
`response.created` and the like bear none. The response itself comes in the first events and, with
its usage, in the last: `response.completed`, `.incomplete` or `.failed`; `[DONE]` is none of it,
though some servers send one.

Rules:
1. The reason to finish is the status; of `incomplete` it is what `incomplete_details` says.
2. Calls are counted as their items begin, and once more in the response at the end, which some
   servers send without items: the larger number is right.
3. An answer that is still `queued` or `in_progress` is a receipt (`background`): nothing has been
   generated for this exchange.
"""

from typing import Any, ClassVar

import msgspec

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Request, loads, text_of
from sidelight_sidecar.observer.dialects.usage import read_responses
from sidelight_sidecar.observer.exchange import Exchange

_CLIENT_CALLS = frozenset({
    "function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call",
    "apply_patch_call",
})  # fmt: skip
_SERVER_CALLS = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
    "mcp_call", "x_search_call",
})  # fmt: skip
_SEARCH = "tool_search_call"
_LAST = frozenset({
    "response.completed", "response.incomplete", "response.failed", "response.cancelled",
})  # fmt: skip
_RECEIPTS = frozenset({"queued", "in_progress"})


class _Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: Any = None
    delta: Any = None
    item: Any = None
    response: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class Responses(Dialect):
    """Responses, streamed or whole."""

    name: ClassVar[str] = "openai_responses"

    def __init__(self, exchange: Exchange, request: Request) -> None:
        super().__init__(exchange, request)
        self._ended = False

    def document(self, body: bytes) -> None:
        """The whole response, or an error."""
        if self.refused(body):
            return
        response = loads(body)
        if not isinstance(response, dict):
            self.exchange.unread = "json"
            return
        fault = errors.error_in(response)
        self._response(response)
        if fault is not None or response.get("status") == "failed":
            self.fail(fault)
        elif text_of(response.get("status")) in _RECEIPTS:
            self.exchange.generating = False

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """One event."""
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._no_event(name, data)
            return 0
        kind = event.type if isinstance(event.type, str) else ""
        if event.delta and kind.endswith(".delta"):
            return self._delta(kind, event.delta, at_ns)
        if kind == "response.output_item.added":
            return self._item(event.item, at_ns)
        if isinstance(event.response, dict):
            self._response(event.response)
            self._ended |= kind in _LAST
        if kind in ("error", "response.failed") or event.error or name == b"error":
            said = event.response if kind == "response.failed" else loads(data)
            self.fail(errors.error_in(said) if isinstance(said, dict) else None)
        return 0

    def ended(self) -> bool:
        """The last event came."""
        return self._ended

    def _no_event(self, name: bytes, data: bytes) -> None:
        if name == b"error":
            self.fail(data[: errors.MAX_SAID].decode("utf-8", "replace"))
        elif data.strip() != b"[DONE]":
            self.exchange.unread = "json"

    def _delta(self, kind: str, delta: object, at_ns: int) -> int:
        reasoning = "reasoning" in kind
        self.exchange.output(at_ns, reasoning=reasoning, visible=not reasoning)
        self.keep(delta)
        return 1

    def _item(self, item: object, at_ns: int) -> int:
        """An item begins; a call's name is output already, for it may have no arguments."""
        if not isinstance(item, dict):
            return 0
        if _served(item):
            self.exchange.server_tool_calls += 1
        elif _asked(item):
            self.exchange.tool_calls += 1
            self.exchange.output(at_ns)
            return 1
        return 0

    def _response(self, response: dict[str, Any]) -> None:
        """The response object: as it begins, as it ends, or all of it."""
        exchange = self.exchange
        exchange.model = text_of(response.get("model")) or exchange.model
        exchange.response_id = text_of(response.get("id")) or exchange.response_id
        if isinstance(response.get("usage"), dict):
            read_responses(exchange, response["usage"])
        status = response.get("status")
        if isinstance(status, str) and status not in _RECEIPTS:
            why = response.get("incomplete_details")
            reason = text_of(why.get("reason")) if isinstance(why, dict) else ""
            exchange.choice(0)
            exchange.finish(0, reason or status)
        items = response.get("output")
        if isinstance(items, list):
            self._items([item for item in items if isinstance(item, dict)])

    def _items(self, items: list[dict[str, Any]]) -> None:
        exchange = self.exchange
        calls = sum(map(_asked, items))
        exchange.tool_calls = max(exchange.tool_calls, calls)
        exchange.server_tool_calls = max(exchange.server_tool_calls, sum(map(_served, items)))
        if calls or any(map(_holds, items)):
            exchange.has_output = True


def _asked(item: dict[str, Any]) -> bool:
    """Whether an item is a call that the client is to make; a search for tools can be either's."""
    kind = text_of(item.get("type"))
    return kind in _CLIENT_CALLS or (kind == _SEARCH and item.get("execution") == "client")


def _served(item: dict[str, Any]) -> bool:
    """Whether an item is a call that the server made."""
    kind = text_of(item.get("type"))
    return kind in _SERVER_CALLS or (kind == _SEARCH and item.get("execution") != "client")


def _holds(item: dict[str, Any]) -> bool:
    """Whether a message or a piece of reasoning holds anything, or an image was made."""
    if item.get("type") == "image_generation_call":
        return bool(item.get("result"))
    for field in ("content", "summary"):
        parts = item.get(field)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and (part.get("text") or part.get("refusal")):
                return True
    return False

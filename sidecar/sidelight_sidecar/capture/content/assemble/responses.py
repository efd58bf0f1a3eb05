"""OpenAI responses: items of output that begin, grow and are done.

The last event has the whole response, and then that is it. Where it has no output (some servers),
or never came, the response is put together: of each item the last that was said whole, else its
beginning and the pieces.
"""

from dataclasses import dataclass, field

from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_LAST = frozenset({
    "response.completed", "response.incomplete", "response.failed", "response.cancelled",
})  # fmt: skip
_PARTS = {
    "output_text": ("content", "text", "output_text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning_text": ("content", "text", "reasoning_text"),
    "reasoning": ("content", "text", "reasoning_text"),
    "reasoning_summary_text": ("summary", "text", "summary_text"),
    "reasoning_summary": ("summary", "text", "summary_text"),
}
"""Text of parts: the list of the item that the part is in, its field, its type."""
_FIELDS = {
    "function_call_arguments": "arguments",
    "mcp_call_arguments": "arguments",
    "mcp_call.arguments": "arguments",
    "custom_tool_call_input": "input",
    "code_interpreter_call_code": "code",
    "code_interpreter_call.code": "code",
}
"""Text of the item itself, and its field; any other's is named like the event."""
_TYPES = {
    "reasoning_text": "reasoning", "reasoning_summary_text": "reasoning", "reasoning": "reasoning",
    "reasoning_summary": "reasoning", "output_text": "message", "refusal": "message",
    "function_call_arguments": "function_call", "mcp_call_arguments": "mcp_call",
    "custom_tool_call_input": "custom_tool_call",
    "code_interpreter_call_code": "code_interpreter_call",
}  # fmt: skip


@dataclass(slots=True)
class _Item:
    """An item of the output."""

    item: Object = field(default_factory=dict)
    done: bool = False
    parts: dict[tuple[str, int], Object] = field(default_factory=dict)
    pieces: dict[tuple[str, int], list[str]] = field(default_factory=dict)


class Responses:
    """Events of a response."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._response: Object = {}
        self._items: dict[int, _Item] = {}
        self._ended = False

    def add(self, event: Object) -> None:
        """An event."""
        kind = event.get("type")
        kind = kind if isinstance(kind, str) else ""
        response, item = event.get("response"), event.get("item")
        if isinstance(response, dict):
            self._budget.spend_on(response)
            self._response = response
            self._ended |= kind in _LAST
        elif isinstance(item, dict):
            self._budget.spend_on(item)
            place = self._item(event)
            place.item = item
            place.done = kind.endswith(".done")
        elif kind.endswith(".delta"):
            self._delta(kind, event)
        elif isinstance(event.get("part"), dict):
            self._part(kind, event)
        elif kind == "error" or "error" in event:
            self._budget.spend_on(event)
            self._response["error"] = event.get("error") or {
                name: value for name, value in event.items() if name != "sequence_number"
            }

    def merges(self, _event: Object) -> None:
        """Each kind of event is something else."""

    def whole(self) -> Json:
        """The response."""
        response = dict(self._response)
        if not response.get("output") and (self._items or "output" in response):
            response["output"] = [_whole(self._items[place]) for place in sorted(self._items)]
        return response

    def ended(self) -> bool:
        """The last event came."""
        return self._ended

    def _item(self, event: Object) -> _Item:
        index = event.get("output_index")
        place = index if isinstance(index, int) else 0
        if place not in self._items:
            self._budget.spend()
            self._items[place] = _Item()
        return self._items[place]

    def _delta(self, kind: str, event: Object) -> None:
        piece = event.get("delta")
        if isinstance(piece, str):
            self._budget.spend(2)
            name = kind.removeprefix("response.").removesuffix(".delta")
            key = name, _part_index(event)
            item = self._item(event)
            item.pieces.setdefault(key, []).append(piece)
            item.item.setdefault("type", _TYPES.get(name, "message"))

    def _part(self, kind: str, event: Object) -> None:
        part = event["part"]
        assert isinstance(part, dict)
        self._budget.spend_on(part)
        where = "summary" if "summary" in kind else "content"
        self._item(event).parts[where, _part_index(event)] = part


def _part_index(event: Object) -> int:
    for name in ("content_index", "summary_index"):
        index = event.get(name)
        if isinstance(index, int):
            return index
    return 0


def _whole(one: _Item) -> Json:
    """An item, of what there is of it."""
    item = dict(one.item)
    if one.done:
        return item
    parts = {key: dict(part) for key, part in one.parts.items()}
    for (name, index), pieces in one.pieces.items():
        text = "".join(pieces)
        if name in _PARTS:
            where, key, kind = _PARTS[name]
            part = parts.setdefault((where, index), {"type": kind})
            if not part.get(key):
                part[key] = text
        else:
            item[_FIELDS.get(name, name)] = text
    for where in ("content", "summary"):
        found = [parts[key] for key in sorted(parts) if key[0] == where]
        if found:
            item[where] = list(found)
    return item

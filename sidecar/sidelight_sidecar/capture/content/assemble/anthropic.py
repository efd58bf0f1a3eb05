"""Anthropic messages: blocks of content that begin, grow and stop."""

from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.limits import Limits
from sidelight_sidecar.capture.content.merge import Merger, Object, Policy
from sidelight_sidecar.capture.content.read_json import Json, read_json

_FACTS = frozenset({
    "id", "type", "role", "model", "name", "tool_use_id", "stop_reason", "stop_sequence",
    "service_tier", "inference_geo", "speed", "provider",
})  # fmt: skip
_MESSAGE = Policy(last=_FACTS)
_BLOCK = Policy(
    last=_FACTS,
    join=frozenset({"text", "thinking", "partial_json", "signature", "data"}),
    extend=frozenset({"citations", "content"}),
)
_ENVELOPE = frozenset({"type", "delta", "index"})


class Anthropic:
    """Events of a message."""

    def __init__(self, budget: Budget, limits: Limits) -> None:
        self._budget = budget
        self._limits = limits
        self._message = Merger(_MESSAGE, budget)
        self._blocks: dict[int, Merger] = {}
        self._begun: dict[int, Json] = {}  # inputs that came whole, with the block's beginning
        self._stopped = False

    def add(self, event: Object) -> None:
        """An event."""
        kind = event.get("type")
        if kind == "message_start":
            self._start(event.get("message"))
        elif kind == "content_block_start":
            self._begin(event.get("index"), event.get("content_block"))
        elif kind == "content_block_delta":
            self._delta(event.get("index"), event.get("delta"))
        elif kind == "message_delta":
            delta = event.get("delta")
            self._message.add(delta if isinstance(delta, dict) else {})
            self._message.add({k: v for k, v in event.items() if k not in _ENVELOPE})
        elif kind == "message_stop":
            self._stopped = True
        elif "error" in event:
            self._message.add({"type": "error", "error": event["error"]})

    def merges(self, event: Object) -> tuple[Merger, Object] | None:
        """Of a delta all but its type is, into its block."""
        delta = event.get("delta")
        if event.get("type") != "content_block_delta" or not isinstance(delta, dict):
            return None
        return self._merger(event.get("index")), _piece(delta)

    def whole(self) -> Json:
        """The message."""
        message = self._message.whole()
        blocks: list[Json] = [self._block(index) for index in sorted(self._blocks)]
        if blocks or "content" in message:
            message["content"] = blocks
        return message

    def ended(self) -> bool:
        """`message_stop` came."""
        return self._stopped

    def _start(self, message: Json) -> None:
        if not isinstance(message, dict):
            return
        blocks = message.get("content")
        for index, block in enumerate(blocks if isinstance(blocks, list) else []):
            self._begin(index, block)
        self._message.add({**message, "content": []})

    def _begin(self, index: Json, block: Json) -> None:
        if isinstance(block, dict):
            merger = self._merger(index)
            merger.add({name: value for name, value in block.items() if name != "input"})
            if "input" in block and isinstance(index, int):
                self._budget.spend_on(block["input"])
                self._begun[index] = block["input"]

    def _delta(self, index: Json, delta: Json) -> None:
        if isinstance(delta, dict):
            self._merger(index).add(_piece(delta))

    def _merger(self, index: Json) -> Merger:
        place = index if isinstance(index, int) else 0
        merger = self._blocks.get(place)
        if merger is None:
            self._budget.spend()
            merger = self._blocks[place] = Merger(_BLOCK, self._budget)
        return merger

    def _block(self, index: int) -> Object:
        """A block; its input is JSON that came in pieces, or what it began with."""
        block = self._blocks[index].whole()
        pieces = block.pop("partial_json", None)
        if index in self._begun:
            block["input"] = self._begun[index]
        if isinstance(pieces, str) and pieces:
            try:
                block["input"] = read_json(pieces.encode(), self._limits)
            except DroppedError as error:
                if error.reason is not Dropped.NOT_JSON:
                    raise
                block["input"] = pieces  # cut off: text, and masked as such
        return block


def _piece(delta: Object) -> Object:
    """What a delta adds to its block."""
    piece = {name: value for name, value in delta.items() if name != "type"}
    if "citation" in piece:
        piece["citations"] = [piece.pop("citation")]
    return piece

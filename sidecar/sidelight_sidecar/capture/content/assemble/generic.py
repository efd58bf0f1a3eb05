"""Streams of APIs that nobody knows: objects that are merged field by field, and plain text."""

from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.merge import Merger, Object, Policy
from sidelight_sidecar.capture.content.read_json import Json

_EVENT = Policy(
    last=frozenset({
        "id", "object", "model", "role", "type", "event_type", "status", "finish_reason",
        "finishReason", "created_at", "modelVersion", "responseId",
    })
)  # fmt: skip


class Generic:
    """Objects of any kind: text of the same field is joined, so that nothing hides in a split."""

    _policy = _EVENT

    def __init__(self, budget: Budget) -> None:
        self._merger = Merger(self._policy, budget)

    def add(self, event: Object) -> None:
        """An event."""
        self._merger.add(event)

    def merges(self, event: Object) -> tuple[Merger, Object]:
        """All of it is."""
        return self._merger, event

    def whole(self) -> Json:
        """All of them in one."""
        return self._merger.whole()

    def ended(self) -> bool:
        """Nobody knows; only the connection says."""
        return True


class PlainText:
    """Events that are the text itself (Takeoff, FedML): the answer is `{"text": ...}`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pieces: list[str] = []

    def said(self, piece: str) -> None:
        """A piece of text."""
        self._budget.spend()
        self._pieces.append(piece)

    def whole(self) -> Json:
        """All of it."""
        return {"text": "".join(self._pieces)}

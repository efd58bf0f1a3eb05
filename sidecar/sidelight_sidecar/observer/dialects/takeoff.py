"""Titan Takeoff: `/generate`, `/generate_stream` and their `image_` twins.

A stream's events are the text itself, no JSON, and the end of the connection is its end. Neither
says which model it is from (readers are picked by `consumer_group`) nor counts tokens.
"""

from typing import Any, ClassVar

from sidelight_sidecar.observer.dialects import errors
from sidelight_sidecar.observer.dialects.base import Dialect, Request, loads

_OTHERS = frozenset({"meta_info", "token", "generated_text", "choices", "text_output"})
"""Fields that the other servers of these paths have."""


class Takeoff(Dialect):
    """Answers of Takeoff."""

    name: ClassVar[str] = "takeoff"
    needs_request = True

    @classmethod
    def fits(cls, request: Request, answer: dict[str, Any]) -> bool:
        """It asks with `text` (TGI with `inputs`), and answers with `text` or with no JSON."""
        if answer.keys() & _OTHERS or "error" in answer:
            return False
        asked = request.json()
        return "text" in asked and "inputs" not in asked and ("text" in answer or not answer)

    def document(self, body: bytes) -> None:
        """The whole text, or a list of texts for a list of prompts."""
        if self.refused(body):
            return
        answer = loads(body)
        if not isinstance(answer, dict):
            self.exchange.unread = "json"
            return
        if fault := errors.error_in(answer):
            self.fail(fault)
        text = answer.get("text")
        for index, one in enumerate(text if isinstance(text, list) else [text]):
            if isinstance(one, str) and self.exchange.choice(index):
                self.exchange.has_output |= bool(one)

    def event(self, name: bytes, data: bytes, at_ns: int) -> int:
        """A piece of text."""
        text = data.decode("utf-8", "replace")
        if name == b"error":
            self.fail(text)
            return 0
        self.exchange.choice(0)
        self.keep(text)
        self.exchange.output(at_ns)
        return 1

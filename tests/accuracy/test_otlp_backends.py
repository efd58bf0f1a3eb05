"""What backends show of a chat: what is right passes, what is off is named."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.otlp.__main__ import Chat, Shown, phoenix_shows, table, wrong

CHAT = Chat("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1000.0, 50.0, 900.0, 25, 24)
CHAT.said = "Hello there"


def shown(**changed: Any) -> Shown:
    """As it was, a few milliseconds off."""
    made = Shown(
        "Phoenix", "smollm2", 25, 24, 897.0, 1000.002, 48.0, CHAT.trace_id, CHAT.parent_id, "LLM",
        "Say hello to [EMAIL], please.", "Hello there",
    )  # fmt: skip
    return made._replace(**changed)


def test_what_is_right_passes():
    """And is in the table."""
    assert wrong(CHAT, shown()) == []
    assert "| prompt tokens | 25 | 25 |" in list(table(CHAT, [shown()]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": None}, "model"),
        ({"prompt": 24}, "prompt tokens"),
        ({"output": "0"}, "output tokens"),
        ({"trace_id": "0" * 32}, "trace"),
        ({"parent_id": ""}, "parent"),
        ({"took_ms": 951.0}, "duration"),
        ({"began": 1000.06}, "begin"),
        ({"first_ms": None}, "time to first token"),
        ({"asked": "Say hello to ada.lovelace@example.org"}, "what was asked"),
        ({"said": "Hello ada.lovelace@example.org"}, "what was asked"),
        ({"said": ""}, "what was answered"),
    ],
)
def test_what_is_off_is_named(changed: dict[str, Any], said: str):
    """With the backend's name before it."""
    (line,) = wrong(CHAT, shown(**changed))
    assert line.startswith(f"Phoenix: {said}")


def test_phoenix_attributes_are_found_flat_and_nested():
    """As its releases show them."""
    span = {
        "context": {"trace_id": CHAT.trace_id}, "parent_id": CHAT.parent_id, "span_kind": "LLM",
        "start_time": "2026-11-24T14:08:00+00:00", "end_time": "2026-11-24T14:08:01+00:00",
        "attributes": {"llm": {"model_name": "m"}, "llm.token_count.prompt": 5},
    }  # fmt: skip
    found = phoenix_shows("Phoenix", [span])
    assert (found.model, found.prompt, found.output, found.took_ms) == ("m", 5, None, 1000.0)

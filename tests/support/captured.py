"""Bodies in, what is passed on out: the short way for tests of content."""

from __future__ import annotations

import json
from typing import Any

from fake_masker import FakeMasker
from hypothesis import strategies as st

from sidelight_sidecar.capture.content import Bodies, Body, Captured, Rules, capture

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.integers(-(2**20), 2**20).map(lambda number: number / 8)
)
JSON = st.recursive(
    SCALARS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def dumped(value: Any) -> bytes:
    """JSON as most servers write it."""
    return json.dumps(value, ensure_ascii=False).encode()


def sse(*events: Any, done: bool = False) -> bytes:
    """A stream of events; a pair is a name and data."""
    lines = []
    for event in events:
        name, data = event if isinstance(event, tuple) else ("", event)
        text = data if isinstance(data, str) else json.dumps(data)
        lines.append((f"event: {name}\n" if name else "") + f"data: {text}\n\n")
    return "".join(lines).encode() + (b"data: [DONE]\n\n" if done else b"")


def ndjson(*lines: Any) -> bytes:
    """Lines of JSON."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def exchange(
    dialect: str = "",
    request: Any = None,
    answer: Any = None,
    *,
    answer_type: str = "application/json",
    cut: bool = False,
    rules: Rules | None = None,
    full: bool = False,
) -> Captured:
    """Capture an exchange; bodies are bytes, or anything else as JSON."""
    asked = request if isinstance(request, bytes) else dumped(request)
    said = answer if isinstance(answer, bytes) else dumped(answer)
    bodies = Bodies(
        dialect,
        Body(asked, "application/json"),
        Body(said, answer_type, cut),
    )
    return capture(bodies, None if full else FakeMasker(), rules or Rules())


def request_of(value: Any, dialect: str = "", **more: Any) -> Any:
    """What becomes of a request."""
    got = exchange(dialect, value, None, **more)
    assert got.request.dropped is None, got.request.dropped
    return json.loads(got.request.body)


def answer_of(value: Any, dialect: str = "", **more: Any) -> Any:
    """What becomes of an answer."""
    got = exchange(dialect, None, value, **more)
    assert got.answer.dropped is None, got.answer.dropped
    return json.loads(got.answer.body)


def stream_of(events: bytes, dialect: str = "", **more: Any) -> Any:
    """What becomes of a stream of events."""
    return answer_of(events, dialect, answer_type="text/event-stream", **more)


def strings_in(value: Any) -> list[str]:
    """Every string and key of a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for one in value for text in strings_in(one)]
    if isinstance(value, dict):
        return [*value, *(text for one in value.values() for text in strings_in(one))]
    return []


def whole_numbers_in(value: Any) -> list[int]:
    """Every whole number of a JSON value."""
    if isinstance(value, list):
        return [number for one in value for number in whole_numbers_in(one)]
    if isinstance(value, dict):
        return [number for one in value.values() for number in whole_numbers_in(one)]
    return [int(value)] if isinstance(value, int | float) and value == int(value) else []

"""Tool calls that clients are asked to make, as OpenAI-shaped servers stream them."""

from __future__ import annotations

import pytest
from answers import answered, exchange_of, sse
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.dialects.calls import MAX_CALLS, Calls
from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import Exchange

CHAT = "/v1/chat/completions"


def chunk(*calls: object, choice: int = 0, finish: str | None = None) -> dict[str, object]:
    """A chunk with pieces of calls."""
    delta = {"tool_calls": list(calls)} if calls else {}
    return {"choices": [{"index": choice, "delta": delta, "finish_reason": finish}]}


def piece(
    index: int | None = None, call_id: str | None = None, name: str | None = None, text: str = ""
) -> dict[str, object]:
    """A piece of a call, with only what is given."""
    function = {"arguments": text, **({"name": name} if name is not None else {})}
    call: dict[str, object] = {"function": function}
    if index is not None:
        call["index"] = index
    if call_id is not None:
        call["id"] = call_id
    return call


def streamed(*events: object) -> Exchange:
    """The exchange of a stream that ended for the tools."""
    return exchange_of(CHAT, {"stream": True}, *sse(*events, chunk(finish="tool_calls"), b"[DONE]"))


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        pytest.param(
            [chunk(piece(0, "a", "f")), chunk(piece(0, text="{")), chunk(piece(0, text="}"))],
            1, id="one, by index",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f")), chunk(piece(0, text="{}")), chunk(piece(1, "b", "f")),
             chunk(piece(1, text="{}"))],
            2, id="parallel, one after the other",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f"), piece(1, "b", "g")), chunk(piece(1, text="{}"), piece(0))],
            2, id="parallel, together",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f", "{}")), chunk(piece(0, "b", "g", "{}"))],
            2, id="every index 0, told apart by id",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f")), chunk(piece(0, "a", "f", "{}"))],
            1, id="id and name repeated",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f")), chunk(piece(0, "b", None, "{}"))],
            1, id="another id in each piece, as vLLM once had",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f")), chunk(piece(0, "", "", "{}"))], 1, id="empty id and name",
        ),
        pytest.param(
            [chunk(piece(None, "a", "f", "{}"), piece(None, "b", "f", "{}"))], 2, id="no index",
        ),
        pytest.param(
            [chunk(piece(None, None, "f", "{}")), chunk(piece(None, None, "g", "{}"))],
            2, id="neither index nor id: whole calls",
        ),
        pytest.param(
            [chunk(piece(0, "a", "f"), choice=0), chunk(piece(0, "b", "f"), choice=1)],
            2, id="of two choices",
        ),
        pytest.param([chunk({"index": 0, "id": "a", "type": "custom", "custom": {"name": "f"}})],
                     1, id="a custom tool"),
        pytest.param([{"choices": [{"index": 0, "delta": {"tool_calls": piece(0, "", "f")}}]}],
                     1, id="not in a list"),
    ],
)  # fmt: skip
def test_calls_are_counted_once_each(events: list[object], calls: int) -> None:
    """However a server numbers them; every piece bears output."""
    exchange = streamed(*events)
    assert exchange.tool_calls == calls
    assert exchange.events == len(events)
    assert exchange.finish_reasons == ["tool_calls"]
    assert not exchange.empty


def test_legacy_function_call() -> None:
    """One call, in pieces or whole."""
    events = [
        {"choices": [{"index": 0, "delta": {"function_call": call}}]}
        for call in ({"name": "f", "arguments": ""}, {"arguments": "{}"})
    ]
    assert streamed(*events).tool_calls == 1
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    choice = {"index": 0, "message": message, "finish_reason": "function_call"}
    exchange = answered(CHAT, {}, {"choices": [choice]})
    assert (exchange.tool_calls, reasons_of(exchange)) == (1, ["tool_calls"])


def test_whole_calls() -> None:
    """Of all choices, with ids or without."""
    choices = [
        {"index": index, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}
        for index, calls in enumerate(([piece(name="f"), piece(name="f")], [piece(0, "a", "g")]))
    ]
    assert answered(CHAT, {}, {"choices": choices}).tool_calls == 3


def test_forced_call_ended_for_the_tools() -> None:
    """OpenAI says `stop` when the choice of the tool was forced."""
    choice = {"index": 0, "message": {"tool_calls": [piece(0, "a", "f")]}, "finish_reason": "stop"}
    exchange = answered(CHAT, {}, {"choices": [choice]})
    assert (exchange.finish_reasons, reasons_of(exchange)) == (["stop"], ["tool_calls"])


@pytest.mark.parametrize("bad", [None, 5, "x", [], [None], [5], [[]], {}, [{"function": 5}]])
def test_what_is_no_call_is_none(bad: object) -> None:
    """At most a piece of a call that never began."""
    choice = {"index": 0, "delta": {"tool_calls": bad}}
    exchange = exchange_of(CHAT, {"stream": True}, *sse({"choices": [choice]}, b"[DONE]"))
    assert (exchange.tool_calls, exchange.unread) == (0, "")


def test_memory_of_calls_is_bounded() -> None:
    """A stream of a million calls is one that counts no further."""
    calls = Calls()
    count = sum(calls.piece(0, index, f"id{index}", named=True) for index in range(5 * MAX_CALLS))
    assert count == MAX_CALLS


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_order_of_pieces_does_not_matter(calls: list[tuple[int, int]], random: object) -> None:
    """Pieces of parallel calls of any choice may be interleaved anyhow."""
    pieces = []
    for number, (choice, count) in enumerate(calls):
        pieces += [(choice, number, place) for place in range(count)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    begun: set[int] = set()
    counter = Calls()
    new = 0
    for choice, number, _ in pieces:
        first = number not in begun
        begun.add(number)
        new += counter.piece(choice, number, f"id{number}" if first else None, named=first)
    assert new == len(calls)

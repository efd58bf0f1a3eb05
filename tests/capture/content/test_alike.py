"""Events that are alike are merged the short way, and nobody can tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_sidecar.capture.content.assemble import Assembled, assemble
from sidelight_sidecar.capture.content.assemble.alike import Alike
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.events import Events, JsonLines
from sidelight_sidecar.capture.content.limits import DEFAULT
from sidelight_sidecar.capture.content.merge import Merger, Object, Other, Policy

Event = tuple[bytes, bytes]

TEXTS = st.sampled_from([
    "", "a", "a", "ab", "abc", " word", "ü", "\U0001f600", 'say "no"', "back\\", '\\"', '","', "\n",
    '"},"finish_reason":"stop"}]}', '","b":"', "stop", "assistant", "text", "text_delta", "u0041",
])  # fmt: skip
RAW = st.sampled_from([
    b'"a"', b'"\\u0041"', b'"\\ud800"', b'"\xff"', b'"\x01"', b'"a""b"', b'"\\"', b'"a\\', b"1",
    b"1.5", b"null", b"true", b'["x"]', b'{"a":"b"}', b'""', b'"a","a":"b"',
    b'"a","content":"b"', b'"\\x"',
])  # fmt: skip
"""What may stand for a string, in bytes: most of it is not alike, or no JSON at all."""


def choice(**more: Any) -> Any:
    """A chunk with one choice."""
    return {"id": "c", "model": "m", "system_fingerprint": "f", "choices": [more]}


def call(**more: Any) -> Any:
    """A chunk with a piece of a call."""
    return choice(index=0, delta={"tool_calls": [more]})


EVENTS: dict[str, list[Any]] = {
    "openai": [
        choice(index=0, delta={"role": "assistant", "content": ""}, finish_reason=None),
        choice(index=0, delta={"content": "T"}, logprobs=None, finish_reason=None),
        choice(index=1, delta={"content": "T", "reasoning": "T"}),
        choice(index=0, delta={"content": "T"}, message={"role": "assistant", "content": "T"}),
        choice(index=0, delta={"content": [{"type": "text", "text": "T"}]}),
        choice(delta={"content": ["T"]}),
        choice(index=0, delta={"annotations": [{"url": "T"}], "content": "T"}),
        choice(index=0, delta={}, finish_reason="stop", token_ids=[1, 2]),
        choice(index=0, text="T", other="T", id="T"),
        choice(id="T", text="T"),
        choice(index="T", text="T"),
        call(index=0, id="T", function={"name": "T", "arguments": "T"}),
        call(index=0, function={"arguments": "T"}, id="x"),
        call(function={"name": "", "arguments": "T"}),
        call(id="T", function={"arguments": "T"}),
        call(type="function", function={"arguments": "T"}),
        {"choices": [{"index": 0, "text": "T"}, {"index": 0, "text": "T", "id": "T"}]},
        {"choices": [{"index": 0, "text": "T"}, {"index": 1, "text": "T"}], "usage": {"n": 1}},
        {"choices": [{"index": 0, "finish_reason": "T"}, {"index": 0, "finish_reason": "stop"}]},
        {"choices": {"index": 0, "text": "T"}},
        {"choices": [{"index": 0, "delta": {"content": "T"},
                      "logprobs": {"content": [{"token": "T", "bytes": [1]}]}}]},
        {"error": "T", "obfuscation": "T"},
        {"choices": [], "extra": "T", "more": ["T", {"id": "T", "x": "T"}]},
    ],
    "anthropic": [
        {"type": "message_start", "message": {"id": "T", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "T"}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": "T", "type": "T"}},
        {"type": "content_block_delta", "index": 0, "delta": {"citation": {"text": "T"}}},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "T", "name": "T"}},
        {"type": "T", "index": 0, "delta": {"text": "T"}},
        {"type": "message_delta", "delta": {"stop_reason": "T"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ],
    "openai_responses": [
        {"type": "response.output_text.delta", "output_index": 0, "delta": "T"},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
    ],
    "ollama": [
        {"model": "m", "created_at": "T", "message": {"role": "assistant", "content": "T"},
         "done": False},
        {"response": "T", "done": False, "other": "T"},
        {"message": {"tool_calls": [{"function": {"name": "T"}}]}},
        {"done": True, "done_reason": "T", "eval_count": 3},
    ],
    "tgi": [
        {"token": {"text": "T", "special": False}, "generated_text": None, "x": "T"},
        {"token": {"text": "T"}, "generated_text": "T"},
    ],
    "llamacpp": [
        {"content": "T", "stop": False, "index": 0},
        {"content": "T", "stop": False, "index": 1, "tokens": [7]},
        {"content": "T", "stop": True, "stopping_word": "T", "other": "T"},
    ],
    "sglang": [
        {"text": "T", "meta_info": {"id": "T", "finish_reason": None}},
        {"text": "T", "index": 1, "meta_info": {"finish_reason": {"type": "stop"}}},
    ],
    "kserve": [
        {"text_output": "T", "model_name": "m"},
        {"text_output": "T", "num_output_tokens": 1, "token": {"x": "T"}},
    ],
    "": [
        {"a": [{"b": {"c": "T"}}], "id": "T"},
        {"parts": [{"type": "T", "text": "T"}], "content": [{"type": "T", "text": "T"}]},
        {"content": [{"type": "text", "text": "T"}, {"text": "T"}], "tool_calls": [{"x": "T"}]},
        {"content": "T", "n": [1, 2], "f": 1.5},
    ],
}  # fmt: skip
"""Events by API; each `"T"` is a text of its own."""


@st.composite
def written(draw: st.DrawFn, event: Any, *, close: bool = True) -> bytes:
    """An event with some texts, as one of several servers writes it."""
    text = json.dumps(event, separators=(",", ":") if close else None)
    pieces = text.encode().split(b'"T"')
    data = pieces[0]
    for piece in pieces[1:]:
        ascii_only = draw(st.booleans())
        data += json.dumps(draw(TEXTS), ensure_ascii=ascii_only).encode() + piece
    return data


@st.composite
def runs(draw: st.DrawFn, events: Sequence[Any]) -> list[Event]:
    """Events of which most are like those before them, and some almost."""
    result: list[Event] = []
    for _ in range(draw(st.integers(1, 5))):
        some = draw(st.lists(st.sampled_from(events), min_size=1, max_size=2))
        close = draw(st.booleans())
        for _ in range(draw(st.integers(1, 6))):
            event = draw(st.sampled_from(some))
            if draw(st.integers(0, 7)) == 0 and isinstance(event, dict):
                event = dict(reversed(event.items()))
            data = draw(written(event, close=close))
            if draw(st.integers(0, 7)) == 0:
                data = draw(spoiled(data))
            name = draw(st.sampled_from([b""] * 7 + [b"error"]))
            result.append((name, data))
    return result


@st.composite
def spoiled(draw: st.DrawFn, data: bytes) -> bytes:
    """A near miss: something else for one string, a piece twice, or the end cut off."""
    quotes = [place for place, byte in enumerate(data) if byte == ord('"')]
    start, end = sorted((draw(st.sampled_from(quotes)), draw(st.sampled_from(quotes))))
    kind = draw(st.sampled_from(["other", "twice", "cut"]))
    if kind == "cut":
        return data[:end]
    if kind == "twice":
        return data[:end] + data[start:]
    at = draw(st.integers(0, len(quotes) // 2 - 1)) * 2
    first, last = quotes[at], quotes[at + 1]
    return data[:first] + draw(RAW) + data[last + 1 :]


@contextmanager
def in_full() -> Iterator[None]:
    """Each event is merged in full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alike, "merged", lambda *_: None)
        yield


def sent(stream: Sequence[Event], *, spaced: bool) -> Events:
    """Events as a body of server-sent ones."""
    lines = []
    for name, data in stream:
        lines += [b"event: %b\n" % name] if name else []
        lines.append((b"data: %b\n\n" if spaced else b"data:%b\n\n") % data)
    return Events(b"".join(lines))


def put_together(
    dialect: str, stream: Iterable[Event], values: int, *, masking: bool
) -> Assembled | Dropped:
    """The answer, or why there is none."""
    limits = replace(DEFAULT, values=values)
    try:
        return assemble(dialect, stream, limits, masking=masking)
    except DroppedError as error:
        return error.reason


@pytest.mark.parametrize("dialect", EVENTS)
@settings(max_examples=60)
@given(st.data())
def test_nobody_can_tell_which_way_events_were_merged(dialect: str, data: st.DataObject) -> None:
    """The same answer, and the same limit at which there is none."""
    stream = data.draw(runs(EVENTS[dialect]))
    values = data.draw(st.sampled_from([1 << 18, 1 << 18, *range(1, 60, 7)]))
    masking = data.draw(st.booleans())
    with in_full():
        wanted = put_together(dialect, stream, values, masking=masking)
    lines = b"".join(data + b"\n" for _, data in stream)
    ways: list[tuple[Iterable[Event], bool]] = [
        (stream, True),
        (sent(stream, spaced=data.draw(st.booleans())), True),
        (JsonLines(lines), not any(name for name, _ in stream)),
    ]
    for way, comparable in ways:
        found = put_together(dialect, way, values, masking=masking)
        assert repr(found) == repr(wanted) or not comparable  # True is no 1; keys have an order


NAMES = st.sampled_from(["index", "id", "type", "content", "tool_calls", "function", "name", "x"])
FIELDS = st.frozensets(NAMES, max_size=4)
POLICIES = st.recursive(
    st.builds(
        Policy, last=FIELDS, join=FIELDS, so_far=FIELDS, total=FIELDS, extend=FIELDS, skip=FIELDS,
        other=st.sampled_from(Other), extend_all=st.sampled_from([False, False, True]),
    ),
    lambda inner: st.builds(replace, inner, under=st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=3,
)  # fmt: skip
SHAPES = st.recursive(
    st.sampled_from(["T", "T", "T", "fix", "", 0, 1, 1.5, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(NAMES, SHAPES, min_size=1, max_size=4)


def merged(policy: Policy, stream: Iterable[Event]) -> tuple[Object, int]:
    """The whole by a policy, and what was taken of the budget."""
    spent = 1 << 20
    budget = Budget(spent)
    merger = Merger(policy, budget)
    ahead = stream if isinstance(stream, Events) else None
    alike = Alike(lambda _, data: json.loads(data), budget, ahead)
    for name, data in stream:
        if not alike.take(name, data):
            merger.add(json.loads(data))
            alike.merged(name, data, lambda event: (merger, event))
    return merger.whole(), spent - budget._left


@settings(max_examples=300)
@given(POLICIES, st.lists(OBJECTS, min_size=1, max_size=3), st.data())
def test_that_is_so_for_any_policy(policy: Policy, shapes: list[Any], data: st.DataObject) -> None:
    """Whatever its fields, and whatever the events are like."""
    turns = data.draw(st.lists(st.sampled_from(shapes), min_size=3, max_size=9))
    stream = [(b"", data.draw(written(shape))) for shape in turns]
    with in_full():
        wanted = merged(policy, stream)
    for way in (stream, sent(stream, spaced=True)):
        assert repr(merged(policy, way)) == repr(wanted)


def numbered(*items: Any, **more: Any) -> dict[str, Any]:
    """An event with a list of items."""
    return {"x": list(items), **more}


NO_IDS = Policy(skip=frozenset({"id"}), other=Other.JOIN)
LAST_ID = Policy(last=frozenset({"id", "type", "model"}), other=Other.JOIN)
IDS_IN_PIECES = Policy(other=Other.JOIN)
ITEMS: dict[str, tuple[Policy, list[Any]]] = {
    "an id that is not kept finds the item": (
        NO_IDS,
        [*(numbered({"index": 0, "id": one, "content": one}) for one in "abcd"),
         numbered({"id": "d", "content": "e"})],
    ),
    "an index of letters does": (
        NO_IDS,
        [*(numbered({"index": one, "content": one}) for one in "abcd"), numbered({"id": "d"})],
    ),
    "an id grows": (
        IDS_IN_PIECES,
        [*(numbered({"index": 0, "id": "a", "content": one}) for one in "abcd"),
         numbered({"index": 0, "id": "e", "content": "f"})],
    ),
    "a type grows": (
        IDS_IN_PIECES,
        [*({"content": [{"type": one, "text": one}]} for one in "aaaabb"),
         {"content": [{"type": "aaaa", "text": "c"}]}],
    ),
    "one place twice": (
        LAST_ID,
        [numbered({"index": 0, "model": one}, {"index": 0, "model": "last"}) for one in "abcd"],
    ),
    "numbers that are added up": (
        replace(IDS_IN_PIECES, total=frozenset({"n"})),
        [{"n": number, "x": "a"} for number in (-2, 1, 1, 1, 1)],
    ),
    "true after one": (IDS_IN_PIECES, [{"n": 1, "x": "a"}] * 3 + [{"n": True, "x": "a"}]),
    "a list that is extended": (
        replace(IDS_IN_PIECES, extend=frozenset({"l"})),
        [{"l": ["a"], "x": one} for one in "abcd"],
    ),
    "nothing after something": (LAST_ID, [{"model": one, "x": "y"} for one in ("a", "b", "c", "")]),
    "text where an object was": (
        LAST_ID, [{"model": {"a": 1}}, *({"model": "", "x": one} for one in "abcd")],
    ),
    "a number behind the text": (IDS_IN_PIECES, [{"x": "a", "n": one} for one in (1, 1, 1, 1, 2)]),
    "something between": (
        LAST_ID,
        [*({"model": "m", "x": one} for one in "abc"), {"model": "n"}, {"model": "m", "x": "d"}],
    ),
    "a name that is another": (LAST_ID, [{one: "a", "x": "b"} for one in ("k", "l", "m", "n")]),
}  # fmt: skip
"""What merging once more would change."""


@pytest.mark.parametrize("name", ITEMS)
def test_what_would_change_more_is_merged_in_full(name: str) -> None:
    """Places, sums, lists and names."""
    policy, some = ITEMS[name]
    stream = [(b"", json.dumps(one).encode()) for one in some]
    with in_full():
        wanted = merged(policy, stream)
    for way in (stream, sent(stream, spaced=True)):
        assert repr(merged(policy, way)) == repr(wanted)


@pytest.fixture
def in_full_only(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The events that were merged in full."""
    seen: list[object] = []
    add = Merger.add

    def watched(self: Merger, piece: Object) -> None:
        seen.append(piece)
        add(self, piece)

    monkeypatch.setattr(Merger, "add", watched)
    return seen


def lines(*some: bytes) -> bytes:
    """A body of server-sent events, a line each."""
    return b"".join(b"data: " + one + b"\n\n" for one in some)


WORDS = [b'{"x":"%b"}' % word for word in (b"a", b"b", b"c")]
PAIRS = [b'{"x":"%b","y":"%b"}' % (word, word) for word in (b"a", b"b", b"c")]
ALMOST: dict[str, Any] = {
    "a string that takes the next one's quote": Events(
        lines(*WORDS, b'{"x":"a\\"}', b'{"x":","b"}')
    ),
    "a control character for what is between": Events(lines(*PAIRS, b'{"x":"a\x01b"}')),
    "a line that ends in a string": JsonLines(b"\n".join([*WORDS, b'{"x":"a', b'b"}', *WORDS])),
    "the last line ends in a string": JsonLines(b"\n".join([*WORDS, b'{"x":"a', b'b"}', b""])),
    "another one between": Events(lines(*WORDS, b'{"x":"d","z":1}', *WORDS, b'{"x":1}', *WORDS)),
    "another name": Events(lines(*WORDS) + b"event: error\n" + lines(*WORDS)),
    "a line of data more": Events(lines(*WORDS)[:-1] + lines(b"1", *WORDS)),
    "lines of which one is no data": Events(
        b"".join(b'data: {\ndata: "x":"%b"}\n\n' % word for word in (b"a", b"b"))
        + b'data: {\n"x":"d"}\n\n'
    ),
    "the end of a line in what comes after": Events(
        b"".join(b'data: {"x":"%b"\ndata: }\n\n' % word for word in (b"a", b"b"))
        + b'data: {"x":"d"\n}\n\n'
    ),
    "head and tail in one": Events(
        lines(*(b'{"x":"","x":"%d"}' % one for one in range(3)), WORDS[0])
    ),
    "no end": Events(lines(*WORDS, *WORDS)[:-1]),
    "more than one look ahead": Events(lines(*(b'{"x":"%d"}' % one for one in range(9000)))),
    "one that is longer than a look": Events(
        lines(*WORDS, b'{"x":"%b"}' % (b"y" * 70_000), *WORDS)
    ),
    "empty lines": JsonLines(b"\n\n".join([*WORDS, *WORDS])),
}  # fmt: skip
"""Bodies that are nearly events that are alike."""


@pytest.mark.parametrize("name", ALMOST)
def test_bodies_are_taken_apart_as_if_one_by_one(name: str) -> None:
    """Nothing is skipped, and nothing read that is not there."""
    body = ALMOST[name]
    fresh = type(body)(body._body)
    with in_full():
        wanted = put_together("", body, 1 << 18, masking=True)
    assert repr(put_together("", fresh, 1 << 18, masking=True)) == repr(wanted)


WAYS = [
    list,
    lambda stream: sent(stream, spaced=True),
    lambda stream: JsonLines(b"".join(data + b"\n" for _, data in stream)),
]


@pytest.mark.parametrize("way", WAYS, ids=["one by one", "events", "lines"])
@pytest.mark.parametrize(
    ("dialect", "event"),
    [
        ("openai", choice(index=0, delta={"content": "T"}, logprobs=None, finish_reason=None)),
        ("openai", call(index=0, function={"arguments": "T"})),
        ("openai", {"id": "T", "choices": [{"index": 0, "text": "T", "finish_reason": None}]}),
        ("anthropic", EVENTS["anthropic"][2]),
        ("ollama", EVENTS["ollama"][0]),
        ("llamacpp", EVENTS["llamacpp"][0]),
        ("kserve", EVENTS["kserve"][0]),
        ("", {"content": "T", "id": "T"}),
    ],
)
def test_a_run_of_words_is_merged_the_short_way(
    dialect: str, event: Any, way: Callable[[list[Event]], Any], in_full_only: list[object]
) -> None:
    """One event in full, or two where the next one cannot be seen, and of a hundred more none."""
    pieces = json.dumps(event).split('"T"')
    stream = [
        (b"", b"".join((piece.encode() + b'"%d \\" "' % number) for piece in pieces[:-1])
         + pieces[-1].encode())
        for number in range(100)
    ]  # fmt: skip
    events = way(stream)
    assemble(dialect, events, DEFAULT, masking=True)
    assert len(in_full_only) == (2 if isinstance(events, list) else 1)


def test_streams_that_are_never_alike_are_asked_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has no use costs next to nothing."""
    asked: list[object] = []

    def template(*what: object) -> None:
        asked.append(what)

    monkeypatch.setattr("sidelight_sidecar.capture.content.assemble.alike._template", template)
    stream = [(b"", b'{"choices":[{"index":0,"text":"%d"}]}' % one) for one in range(2000)]
    assemble("openai", stream, DEFAULT, masking=True)
    assert len(asked) < 30

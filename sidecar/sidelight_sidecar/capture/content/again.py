"""What merging does with events that differ from one that was merged in some texts only.

Most events of a stream are the same but for a word, and merging the rest of them once more changes
nothing. `again` finds out, of an event that was just merged, whether that is so, and what becomes
of the texts that differ. Rules:
1. It follows `Merger` step by step, and changes nothing. Where merging once more would make, move,
   add up or extend anything, the answer is None: such events are merged in full, each.
2. What decides where something goes (ids, indexes, types of items) may not be what differs.
3. No two texts of an event come to the same place, so their order does not count.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sidelight_sidecar.capture.content.merge import (
    Items,
    Merger,
    Node,
    Object,
    Other,
    Policy,
    Text,
    place_of,
)
from sidelight_sidecar.capture.content.read_json import Json

Say = Callable[[list[str]], object]
"""What is done with a text of each of some events, in their order."""
_PLACES = frozenset({"index", "id", "type"})
"""Fields of an item by which its place is found."""


class Leaf(str):
    """A text of an event.

    Attributes:
        number: which of the event's strings it is.
        differs: it is another one in each event; what is here is nobody's text.
    """

    __slots__ = ("differs", "number")
    number: int
    differs: bool


@dataclass(slots=True)
class Again:
    """What merging an event once more does.

    Attributes:
        values: how many it takes of the budget.
        says: what is done with texts, by their numbers; of one that is not in it, nothing.
    """

    values: int = 0
    says: dict[int, Say] = field(default_factory=dict)


class _MoreError(Exception):
    """Merging does more than that."""


def again(merger: Merger, piece: Object) -> Again | None:
    """What merging a piece once more does; None: more than can be said here.

    Args:
        merger: has just merged it.
        piece: its texts are `Leaf`.
    """
    found = Again()
    try:
        _object(found, merger.root, piece, merger.policy)
    except _MoreError:
        return None
    return found


def _object(found: Again, node: dict[str, Node], piece: Object, policy: Policy) -> None:
    for name, value in piece.items():
        if name in policy.skip:
            continue
        _want(name in node)
        if isinstance(value, str):
            _text(found, node, value, name, policy.under.get(name, policy))
        elif value is not None:
            _value(found, node[name], value, name, policy.under.get(name, policy))


def _value(found: Again, node: Node, value: Json, name: str, policy: Policy) -> None:
    """Anything but a text."""
    if isinstance(value, dict):
        _want(isinstance(node, dict))
        _object(found, node, value, policy)
    elif isinstance(value, list):
        _want(isinstance(node, Items))
        _list(found, node, value, name, policy)
    else:
        _want(name not in policy.total and type(node) is type(value) and node == value)


def _text(found: Again, holder: dict[str, Node], value: str, name: str, policy: Policy) -> None:
    node = holder[name]
    if policy.of(name) is None:
        if _differs(value):
            _say(found, value, partial(_last, holder, name))
        else:
            _want(isinstance(node, str) and node == (value or node))
        return
    _want(isinstance(node, Text))
    _piece(found, node, value)


def _piece(found: Again, node: Text, value: str) -> None:
    found.values += 1
    # It is among the pieces already: of texts that are the same, or are nothing, that is enough.
    if _differs(value) or (value and node.mode is not Other.SAME):
        _say(found, value, node.pieces.extend)


def _list(found: Again, items: Items, value: list[Json], name: str, policy: Policy) -> None:
    _want(not value or not (policy.extend_all or name in policy.extend))
    taken: set[int] = set()
    for position, one in enumerate(value):
        place = place_of(items, position, one, name) if isinstance(one, dict) else position
        _want(place < len(items.nodes) and place not in taken)
        taken.add(place)
        node = items.nodes[place]
        if isinstance(one, dict):
            _want(isinstance(node, dict) and _stays(items, one, place))
            before = set(found.says)
            _object(found, node, one, policy)
            _want(not any(_said(found, one.get(key), before) for key in _PLACES))
        else:
            _want(isinstance(one, str) and isinstance(node, Text) and policy.of(name) is not None)
            assert isinstance(one, str)
            _piece(found, node, one)


def _stays(items: Items, one: Object, place: int) -> bool:
    """Whether what it is known by is known, and always the same."""
    for key in ("index", "id"):
        value = one.get(key)
        if isinstance(value, str) and _differs(value):
            return False
        known = isinstance(value, int | str) and value != ""
        if known and items.places.get((key, value)) != place:  # type: ignore[arg-type]
            return False
    return True


def _said(found: Again, value: Json, before: set[int]) -> bool:
    return isinstance(value, Leaf) and value.number in found.says.keys() - before


def _last(holder: dict[str, Node], name: str, texts: list[str]) -> None:
    for text in reversed(texts):
        if text:
            holder[name] = text
            return
    holder[name] = holder[name] or ""


def _differs(value: str) -> bool:
    return isinstance(value, Leaf) and value.differs


def _say(found: Again, value: str, say: Say) -> None:
    _want(isinstance(value, Leaf))  # else it is a word of ours, that comes again in each event
    assert isinstance(value, Leaf)
    found.says[value.number] = say


def _want(condition: bool) -> None:
    if not condition:
        raise _MoreError

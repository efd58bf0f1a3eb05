"""One JSON object out of many pieces of it: what a stream would have been unstreamed.

What becomes of a field that comes again is said by a `Policy`, field by field. Rules:
1. Text that came in pieces is one string, so that nothing hides in a split. Which fields are such
   text is known for each API; of a field that nobody knows, the pieces are joined too, or left
   out (`Other`), but never is the last piece alone passed on for the whole.
2. null changes nothing, and makes a field known.
3. Of numbers and truth values the last one counts: usage is cumulative.
4. Lists of objects with an `index` are merged by it, so several choices and parallel calls keep
   apart; lists of which each event brings further items are extended; others are merged item by
   item.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.read_json import Json

Object: TypeAlias = dict[str, Json]
Node: TypeAlias = Any  # None, bool, int, float, `Text`, `Items`, dict of nodes


class Other(enum.Enum):
    """What becomes of text in a field that the policy does not name."""

    SO_FAR = enum.auto()
    """If each piece begins with the one before, the last has it all; else they are joined."""
    SAME = enum.auto()
    """It is kept if it is always the same; else it may be a piece of something: it is left out."""
    JOIN = enum.auto()
    """The pieces are joined."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How fields come together.

    Attributes:
        last: fields of which the last text that is not empty counts: ids, types, reasons.
        join: fields that are text in pieces.
        so_far: fields that are text so far, or in pieces (`Other.SO_FAR`).
        total: fields whose numbers are added up.
        extend: fields whose lists are extended; all of them, if `extend_all`.
        skip: fields that are left out.
        other: text in any other field.
        under: policies for what is within some fields; else it is this one.
    """

    last: frozenset[str] = frozenset()
    join: frozenset[str] = frozenset()
    so_far: frozenset[str] = frozenset()
    total: frozenset[str] = frozenset()
    extend: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    other: Other = Other.SO_FAR
    extend_all: bool = False
    under: Mapping[str, "Policy"] = field(default_factory=dict)
    _known: dict[str, Other | None] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        """Say of each field that is named how its text comes together."""
        known = self._known
        known |= dict.fromkeys(self.so_far, Other.SO_FAR)
        known |= dict.fromkeys(self.join, Other.JOIN)
        known |= dict.fromkeys(self.last)

    def of(self, name: str) -> Other | None:
        """How text in a field comes together; None: the last counts."""
        return self._known.get(name, self.other)


class Text:
    """Text in pieces."""

    __slots__ = ("mode", "pieces")

    def __init__(self, mode: Other, *pieces: str) -> None:
        self.mode = mode
        self.pieces = list(pieces)

    def whole(self) -> str | None:
        """The text; None when it is not known what it is."""
        pieces = self.pieces
        if self.mode is Other.JOIN or len(pieces) < 2:
            return "".join(pieces)
        if self.mode is Other.SAME:
            return pieces[0] if all(piece == pieces[0] for piece in pieces) else None
        return self._so_far()

    def _so_far(self) -> str:
        """The last piece, if it begins with each of the others; else all of them.

        What an engine may take back is the end of a character that was not whole yet, and of a
        longer text a character or two. Text in pieces that all begin alike is a run of one sign:
        nothing is lost there that anybody could have looked for.
        """
        spoken = [piece for piece in self.pieces if piece]
        last = spoken[-1] if spoken else ""
        grows = all(
            last.startswith(piece.rstrip("\ufffd"))
            or (len(piece) > _LONG and last.startswith(piece[:-_TAKEN_BACK]))
            for piece in spoken
        )
        return last if grows else "".join(spoken)


_LONG = 12
_TAKEN_BACK = 4
"""Characters of a text longer than that which an engine may take back."""
_CALLS = frozenset({"tool_calls"})
_OBJECT = 4
"""Values that an object is counted as, beside those in it: it takes as much memory."""
_PARTS = frozenset({"content", "thinking", "reasoning_details"})
"""Lists of parts: a part without an index is more of the last one, if that is of its type."""


class Items:
    """A list, and where in it an index or an id is."""

    __slots__ = ("nodes", "places")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.places: dict[tuple[str, int | str], int] = {}


class Merger:
    """Takes pieces, gives the whole.

    Args:
        policy: of the outermost fields.
        budget: how many values may be kept.

    Attributes:
        policy: of the outermost fields.
        root: what there is so far, as nodes.
    """

    def __init__(self, policy: Policy, budget: Budget) -> None:
        self.policy = policy
        self.root: dict[str, Node] = {}
        self._spend = budget.spend

    def add(self, piece: Mapping[str, Json]) -> None:
        """Merge one piece.

        Raises:
            DroppedError: there are too many values.
        """
        self._object(self.root, piece, self.policy)

    def whole(self) -> Object:
        """What there is so far."""
        whole = plain(self.root)
        assert isinstance(whole, dict)
        return whole

    def _object(self, node: dict[str, Node], piece: Mapping[str, Json], policy: Policy) -> None:
        for name, value in piece.items():
            if name in policy.skip:
                continue
            if name not in node:
                self._spend()
                node[name] = None
            if value is not None:
                node[name] = self._merge(node[name], value, name, policy.under.get(name, policy))

    def _merge(self, node: Node, value: Json, name: str, policy: Policy) -> Node:
        if isinstance(value, str):
            return self._text(node, value, name, policy)
        if isinstance(value, dict):
            if isinstance(node, Items):
                return self._list(node, [value], name, policy)
            if not isinstance(node, dict):
                self._spend(_OBJECT)
                node = {}
            self._object(node, value, policy)
            return node
        if isinstance(value, list):
            return self._list(node, value, name, policy)
        if name in policy.total and isinstance(node, int) and isinstance(value, int):
            return node + value
        return value

    def _text(self, node: Node, value: str, name: str, policy: Policy) -> Node:
        mode = policy.of(name)
        if mode is None:
            return value or node or value
        if isinstance(node, Items):  # parts before, plain text now
            return self._list(node, [{"type": "text", "text": value}], name, policy)
        if not isinstance(node, Text):
            node = Text(mode)
        self._spend()
        node.pieces.append(value)
        return node

    def _list(self, node: Node, value: list[Json], name: str, policy: Policy) -> Items:
        if isinstance(node, Items):
            items = node
        else:
            items = Items()
            if isinstance(node, Text):  # plain text before, parts now
                items.nodes.append({"type": "text", "text": node})
        if policy.extend_all or name in policy.extend:
            self._extend(items, value)
        elif not all(isinstance(one, str | dict) for one in value):
            self._numbers(items, value)
        else:
            for position, one in enumerate(value):
                place = self._place(items, position, one, name)
                items.nodes[place] = self._merge(items.nodes[place], one, name, policy)
        return items

    def _extend(self, items: Items, value: list[Json]) -> None:
        for one in value:
            items.nodes.append(self._raw(one))

    def _numbers(self, items: Items, value: list[Json]) -> None:
        """Further numbers, or all so far once more."""
        so_far = len(items.nodes)
        if len(value) >= so_far and value[:so_far] == [plain(one) for one in items.nodes]:
            value = value[so_far:]
        self._extend(items, value)

    def _place(self, items: Items, position: int, one: Json, name: str) -> int:
        """Where an item of a list goes; a place is made where there is none."""
        place = place_of(items, position, one, name) if isinstance(one, dict) else position
        if place >= len(items.nodes):
            self._spend()
            place = len(items.nodes)
            items.nodes.append(None)
        if isinstance(one, dict):
            for key in ("index", "id"):
                value = one.get(key)
                if isinstance(value, int | str) and value != "":
                    items.places[key, value] = place
        return place

    def _raw(self, value: Json) -> Node:
        """A value that is complete, as a node."""
        self._spend()
        if isinstance(value, str):
            return Text(Other.JOIN, value)
        if isinstance(value, list):
            items = Items()
            self._extend(items, value)
            return items
        if isinstance(value, dict):
            self._spend(_OBJECT)
            return {name: self._raw(one) for name, one in value.items()}
        return value


def place_of(items: Items, position: int, one: Object, name: str) -> int:
    """Where an object goes: by its index, by its id, else by its type, else by where it stands.

    Of two with the same index and different ids the later is another one: some servers say 0 for
    each of several calls.
    """
    end = len(items.nodes)
    index, identity = one.get("index"), one.get("id")
    named = isinstance(identity, str) and identity != ""
    if type(index) is int:
        place = items.places.get(("index", index), end)
        other = named and place < end and _id_of(items.nodes[place]) not in (None, "", identity)
        return end if other else place
    if named:
        return items.places.get(("id", str(identity)), end)
    if name in _CALLS:
        function = one.get("function")
        begins = isinstance(function, dict) and bool(function.get("name"))
        return end if begins or not end else end - 1
    if name in _PARTS and end:
        last = items.nodes[-1]
        same = isinstance(last, dict) and plain(last.get("type")) == one.get("type")
        return end - 1 if same else end
    return position


def _id_of(node: Node) -> Node:
    return plain(node.get("id")) if isinstance(node, dict) else None


def plain(node: Node) -> Json:
    """A node as JSON; text of which nobody knows what it is is left out."""
    if isinstance(node, Text):
        return node.whole()
    if isinstance(node, Items):
        return [plain(one) for one in node.nodes]
    if isinstance(node, dict):
        return {
            name: value
            for name, one in node.items()
            if (value := plain(one)) is not None or not isinstance(one, Text)
        }
    plain_value: Json = node
    return plain_value

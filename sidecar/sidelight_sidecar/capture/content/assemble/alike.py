"""Events that are the same but for some strings: nine of ten of a stream, merged for a tenth.

Of two such events in a row, one of them merged in full, a template is made: the bytes that come
again, and what becomes of the strings between them (`again`). Rules:
1. An event fits if it has all those bytes, and between them what is read as one JSON string each.
   It then says the same but for those strings, whatever is in them: JSON can be read in one way.
2. The result and what is taken of the budget are those of merging each event in full.
3. An event that does not fit is merged in full, and then the template is no longer true. Streams
   that have no use for templates are asked less and less often.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import msgspec

from sidelight_sidecar.capture.content.again import Leaf, Say, again
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.events import Stream
from sidelight_sidecar.capture.content.merge import Merger, Object
from sidelight_sidecar.capture.content.read_json import Json

Read = Callable[[bytes, bytes], Object | None]
"""From the name and data of an event to what is merged of it."""
Merges = Callable[[Object], tuple[Merger, Object] | None]
"""What of an event is merged into what; None: something else is done with it."""

_STRING = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_MARK = os.urandom(16).hex()
"""Nobody's text: it stands in an event for each string, to see where the string goes."""
_MOST_BYTES = 1 << 16
"""Of longer events there are few."""
_MOST_HOLES = 8
_WORTH = 8
"""So many events pay for a template."""
_MOST_PATIENCE = 256

_INSIDE = rb'[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+'
_MARKS = tuple(bytes((number,)) for number in range(1, _MOST_HOLES))
_NO_CONTROLS = bytes(range(32, 256))
_read_string = msgspec.json.Decoder(str).decode
_read_strings = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Template:
    """Events of one kind.

    Attributes:
        name: of the events.
        head: up to and with the quote that begins the first string that differs.
        rests: between two of them, with the quotes around it.
        tail: after the last, from the quote that ends it.
        says: what is done with each.
        values: what an event takes of the budget.
    """

    name: bytes
    head: bytes
    rests: tuple[bytes, ...]
    tail: bytes
    says: tuple[Say | None, ...]
    values: int

    def strings(self, data: bytes) -> list[str] | None:
        """What is between; None: it does not fit."""
        if not data.startswith(self.head) or not data.endswith(self.tail):
            return None
        start = len(self.head)
        found = []
        try:
            for rest in self.rests:
                end = data.find(rest, start)
                if end < 0:
                    return None
                found.append(_read_string(data[start - 1 : end + 1]))
                start = end + len(rest)
            end = len(data) - len(self.tail)  # before the start: what is between is no string
            found.append(_read_string(data[start - 1 : end + 1]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found

    def all_strings(self, found: list[bytes]) -> list[str] | None:
        """What is between in each of some events, of which all between head and tail is given.

        None: not all of them fit. In JSON no string has a control character in it, so those can
        stand for what is between two strings, and between two events.
        """
        together = b"\n".join(found)
        marks = b"".join(_MARKS[: len(self.rests)])
        for mark, rest in zip(_MARKS, self.rests, strict=False):
            if mark in together:
                return None
            together = mark.join(together.split(rest))
        if b"\\" in together:
            whole = _whole_strings(len(self.rests)).fullmatch(together) is not None
        else:
            in_order = b"\n".join([marks] * len(found))
            whole = b'"' not in together and together.translate(None, _NO_CONTROLS) == in_order
        if not whole:
            return None
        for number in b"\n%b" % marks:
            together = together.replace(bytes((number,)), b'","')
        try:
            return _read_strings(b'["%b"]' % together)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


@cache
def _whole_strings(rests: int) -> re.Pattern[bytes]:
    """The insides of so many strings and one, for each of some events."""
    event = b"".join(_INSIDE + mark for mark in _MARKS[:rests]) + _INSIDE
    return re.compile(b"%b(?:\n%b)*+" % (event, event))


class Alike:
    """Takes the events of one stream that are alike.

    Args:
        read: reads an event.
        budget: of the stream.
        stream: that the events come from; None: it cannot be looked ahead.
    """

    def __init__(self, read: Read, budget: Budget, stream: Stream | None = None) -> None:
        self._read = read
        self._stream = stream
        self._spend = budget.spend
        self._template: Template | None = None
        self._taken = 0
        self._before: tuple[bytes, bytes] | None = None
        self._wait = 0
        self._patience = 0

    def take(self, name: bytes, data: bytes) -> bool:
        """Merge an event, if it is one more of its kind.

        Raises:
            DroppedError: there are too many values.
        """
        template = self._template
        if template is None or name != template.name:
            return False
        strings = template.strings(data)
        if strings is None:
            return False
        self._spend(template.values)
        for say, text in zip(template.says, strings, strict=True):
            if say is not None:
                say([text])
        self._taken += 1
        return True

    def merged(self, name: bytes, data: bytes, merges: Merges) -> None:
        """An event was merged in full: the next ones may be like it.

        Raises:
            DroppedError: there are too many values.
        """
        before, self._before = self._before, (name, data)
        if self._template is not None:
            self._judge(worth=self._taken >= _WORTH)
            self._template = None
        elif self._wait:
            self._wait -= 1
        elif other := self._other(name, before):
            self._template = _template(name, other, data, self._read, merges)
            self._taken = 0
            if self._template is None:
                self._judge(worth=False)
            elif self._stream is not None:
                self._take_all(self._template, self._stream)

    def _other(self, name: bytes, before: tuple[bytes, bytes] | None) -> bytes:
        """The event after one, where it can be seen, else the one before; empty: it has another
        name.
        """
        if self._stream is not None:
            return self._stream.following(name)
        return before[1] if before is not None and before[0] == name else b""

    def _take_all(self, template: Template, stream: Stream) -> None:
        """Merge all that come next and fit at once; `take` has the rest."""
        while found := stream.alike(template.name, template.head, template.tail):
            strings = template.all_strings(found)
            if strings is None:
                return
            self._spend(template.values * len(found))
            for number, say in enumerate(template.says):
                if say is not None:
                    say(strings[number :: len(template.says)])
            self._taken += len(found)
            stream.skip()

    def _judge(self, *, worth: bool) -> None:
        """The less it was worth, the longer it is until the next."""
        self._patience = 0 if worth else min(self._patience * 2 + 1, _MOST_PATIENCE)
        self._wait = self._patience // 2


def _template(
    name: bytes, other: bytes, data: bytes, read: Read, merges: Merges
) -> Template | None:
    """What two events in a row have in common, of which `data` was just merged; None: too little.

    What is between the strings is the same. Most that are not alike have not even as many.
    """
    if max(len(other), len(data)) > _MOST_BYTES:
        return None
    if data.count(b'"') != other.count(b'"') and b"\\" not in data and b"\\" not in other:
        return None
    pieces, others = _STRING.split(data), _STRING.split(other)
    bones, strings = pieces[::2], pieces[1::2]
    if others[::2] != bones:
        return None
    differ = [one != another for one, another in zip(strings, others[1::2], strict=True)]
    event = _with_leaves(name, bones, strings, differ, read)
    wanted = merges(event) if event is not None else None
    found = again(*wanted) if wanted is not None else None
    if found is None:
        return None
    holes = [number for number, other in enumerate(differ) if other or number in found.says]
    if not 0 < len(holes) <= _MOST_HOLES:
        return None
    head, *rests, tail = _pieces(bones, strings, holes)
    says = tuple(found.says.get(number) for number in holes)
    return Template(name, head, tuple(rests), tail, says, found.values)


def _with_leaves(
    name: bytes, bones: list[bytes], strings: list[bytes], differ: list[bool], read: Read
) -> Object | None:
    """An event as it is merged, with a `Leaf` for each text; None: a key differs."""
    marked = [bones[0]]
    leaves: dict[str, Leaf] = {}
    for number, string in enumerate(strings):
        after = bones[number + 1]
        if after.lstrip().startswith(b":"):  # a key
            if differ[number]:
                return None
            marked += string, after
            continue
        mark = f"{_MARK}{number}"
        leaf = Leaf(mark if differ[number] else _read_string(string))
        leaf.number, leaf.differs = number, differ[number]
        leaves[mark] = leaf
        marked += b'"%b"' % mark.encode(), after
    event = read(name, b"".join(marked))
    return {key: _leaf(value, leaves) for key, value in event.items()} if event else None


def _leaf(value: Json, leaves: dict[str, Leaf]) -> Json:
    if isinstance(value, str):
        return leaves.get(value, value)
    if isinstance(value, list):
        return [_leaf(one, leaves) for one in value]
    if isinstance(value, dict):
        return {name: _leaf(one, leaves) for name, one in value.items()}
    return value


def _pieces(bones: list[bytes], strings: list[bytes], holes: list[int]) -> list[bytes]:
    """What is before, between and after some of the strings, each up to and from the quotes."""
    pieces = []
    piece = bones[0]
    for number, string in enumerate(strings):
        if number in holes:
            pieces.append(piece + b'"')
            piece = b'"'
        else:
            piece += string
        piece += bones[number + 1]
    return [*pieces, piece]

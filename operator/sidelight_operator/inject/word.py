"""Words of a container's commands, in parts whose places are known: what may be overwritten."""

from dataclasses import dataclass, replace

from sidelight_operator.inject.edits import Editor
from sidelight_operator.inject.types import Json


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a container: `command` or `args` and an index, or `env` and a name,
    and from which letter to which.
    """

    key: str
    index: int | str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a word.

    Attributes:
        text: what it comes to; None when the pod does not say.
        place: where it is written; None when nowhere in one piece.
        verbatim: `text` stands there as it is, and not a reference to it.
        variable: the variable whose value it is.
        bare: the shell would cut its value into words.
        options: everything that it may come to, where there is more than one; None: anything.
        assumed: it rests on the image not setting the variable.
    """

    text: str | None
    place: Place | None = None
    verbatim: bool = True
    variable: str = ""
    bare: bool = False
    options: tuple[str, ...] | None = None
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One argument."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> "Word":
        """A word that stands nowhere in the container."""
        return cls((Part(text),))

    @property
    def text(self) -> str | None:
        """What it comes to; None when that is not known."""
        texts = [part.text for part in self.parts]
        return None if None in texts else "".join(text or "" for text in texts)

    @property
    def known_start(self) -> str:
        """What it is known to begin with."""
        start = ""
        for part in self.parts:
            if part.text is None:
                break
            start += part.text
        return start

    @property
    def sole(self) -> Part | None:
        """Its one part, if it has one."""
        return self.parts[0] if len(self.parts) == 1 else None

    def after(self, start: str) -> "Word":
        """What follows `start`, with which it is known to begin."""
        parts = list(self.parts)
        left = len(start)
        while left and parts:
            first = parts.pop(0)
            text = first.text or ""
            if len(text) > left:
                parts.insert(0, _from(first, left))
                left = 0
            else:
                left -= len(text)
        return Word(tuple(parts))


def _from(part: Part, count: int) -> Part:
    """A part without its first letters; without a place when they are not written there."""
    place = part.place
    if place is not None:
        place = replace(place, start=place.start + count) if part.verbatim else None
    return replace(part, text=(part.text or "")[count:], place=place)


def overwrite(container: Json, place: Place, text: str, editor: Editor) -> None:
    """Write `text` at a place, and change nothing around it."""
    path: list[str | int] = [place.key, place.index]
    if place.key == "env":
        path.append("value")
        entry = next(e for e in reversed(container["env"]) if e.get("name") == place.index)
        whole = str(entry["value"])
    else:
        whole = str(container[place.key][int(place.index)])
    editor.set(container, path, f"{whole[: place.start]}{text}{whole[place.end :]}")

"""An engine's own arguments: the value of a flag, and whether more could hide in a variable."""

from collections.abc import Sequence

from sidelight_operator.inject.word import Word


def value_of(words: Sequence[Word], flags: Sequence[str]) -> Word | None:
    """The value of the last of `flags` that is given; None when none is."""
    values = values_of(words, flags)
    return values[-1] if values else None


def values_of(words: Sequence[Word], flags: Sequence[str]) -> list[Word]:
    """The values of all of `flags` that are given, in order."""
    values: list[Word] = []
    for number, word in enumerate(words):
        for flag in flags:
            if word.text == flag:
                values.append(words[number + 1] if number + 1 < len(words) else Word(()))
            elif word.known_start.startswith(f"{flag}="):
                values.append(word.after(f"{flag}="))
    return values


def given(words: Sequence[Word], flags: Sequence[str]) -> str:
    """The first of `flags` that is among the words, alone or with a value; empty when none is."""
    for word in words:
        for flag in flags:
            if word.text == flag or word.known_start.startswith(f"{flag}="):
                return flag
    return ""


def could_hide(words: Sequence[Word], flags: Sequence[str]) -> str:
    """The variable in whose value one of `flags` could stand; empty when there is none.

    A variable that follows an argument is its value. One that nothing in the pod sets is taken to
    be empty.
    """
    before = ""
    for word in words:
        follows_flag = before.startswith("-") and "=" not in before
        before = word.text or ""
        if follows_flag or not all(part.bare for part in word.parts):
            continue
        for part in word.parts:
            if part.options is None or any(_mentions(text, flags) for text in part.options):
                return part.variable or "a command's output"
    return ""


def _mentions(text: str, flags: Sequence[str]) -> bool:
    return any(
        word == flag or word.startswith(f"{flag}=") for word in text.split() for flag in flags
    )

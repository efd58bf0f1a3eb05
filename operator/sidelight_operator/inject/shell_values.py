"""What the variables of a shell script come to, as far as the pod says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sidelight_operator.inject.environment import Environment
from sidelight_operator.inject.shell import Piece, ShellWord
from sidelight_operator.inject.word import Part, Place, Word

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)")
_PLAIN = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DEFAULT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?-([A-Za-z0-9._:/-]*)\}")
_KUBELET = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_DECLARE = frozenset({"export", "declare", "local", "readonly", "typeset"})
_SET_BY_COMMAND = frozenset({"read", "for", "unset", "select", "getopts", "mapfile"})
_BEFORE_COMMAND = frozenset(
    {"exec", "nohup", "time", "if", "then", "do", "else", "elif", "while", "until", "{", "!"}
)
_MAX_DEPTH = 5


class Scope:
    """The variables as one script sees them."""

    def __init__(self, environment: Environment, commands: Sequence[Sequence[ShellWord]]) -> None:
        self._environment = environment
        self._assigned: dict[str, list[ShellWord | None]] = {}
        self._sourced = False
        for command in commands:
            self._note(command)

    def command(self, command: Sequence[ShellWord]) -> Sequence[ShellWord]:
        """What a command runs: without reserved words and assignments before it."""
        for number, word in enumerate(command):
            if word.literal not in _BEFORE_COMMAND and _assignment(word) is None:
                return command[number:]
        return ()

    def word(self, shell_word: ShellWord, where: Place, depth: int = 0) -> Word:
        """A word with what is known of its expansions put in."""
        return Word(tuple(self._part(piece, where, depth) for piece in shell_word.pieces))

    def assigned_words(self, where: Place) -> dict[str, Word | None]:
        """What the script itself gives each variable; None when it is not one literal value."""
        words: dict[str, Word | None] = {}
        for name, values in self._assigned.items():
            value = values[0] if len(values) == 1 else None
            words[name] = None if value is None else self.word(value, where, depth=1)
        return words

    def _note(self, command: Sequence[ShellWord]) -> None:
        for word in command:
            assignment = _assignment(word)
            if assignment is not None:
                self._assigned.setdefault(assignment[0], []).append(assignment[1])
            elif word.literal not in _BEFORE_COMMAND:
                break
        rest = self.command(command)
        first = rest[0].literal if rest else None
        if first in (".", "source"):
            self._sourced = True
        if first in _DECLARE or first in _SET_BY_COMMAND:
            for word in rest[1:]:
                self._note_argument(word, declares=first in _DECLARE)

    def _note_argument(self, word: ShellWord, *, declares: bool) -> None:
        assignment = _assignment(word)
        if declares and assignment is not None:
            self._assigned.setdefault(assignment[0], []).append(assignment[1])
        elif not declares and word.literal:
            self._assigned.setdefault(word.literal, []).append(None)

    def _part(self, piece: Piece, where: Place, depth: int) -> Part:
        place = replace(where, start=piece.start, end=piece.end) if piece.start >= 0 else None
        if not piece.expansion:
            return Part(piece.text, place)
        bare = not piece.quoted
        found = _KUBELET.fullmatch(piece.text)
        if found and (found[1] in self._environment or self._environment.hidden):
            value = self._environment.referred(found[1])
            return Part(
                value, place, verbatim=False, variable=found[1], bare=bare,
                options=None if value is None else (value,),
            )  # fmt: skip
        default = _DEFAULT.fullmatch(piece.text)
        plain = _PLAIN.fullmatch(piece.text)
        if default is None and plain is None:
            return Part(None, place, verbatim=False, bare=bare)
        name = default[1] if default else (plain[1] or plain[2] if plain else "")
        options = tuple(dict.fromkeys(self._values(name, where, depth)))
        unset = "" if default is None else default[2]
        known = tuple(unset if value is _UNSET else value for value in options)
        texts = tuple(value for value in known if value is not None)
        certain = len(texts) == 1 and len(known) == 1
        return Part(
            texts[0] if certain else None, place, verbatim=False, variable=name, bare=bare,
            options=texts if len(texts) == len(known) else None, assumed=_UNSET in options,
        )  # fmt: skip

    def _values(self, name: str, where: Place, depth: int) -> Iterator[str | None]:
        """Everything that a variable may be; None: something that is not known."""
        assigned = self._assigned.get(name, [])
        if self._sourced or depth > _MAX_DEPTH:
            yield None
        for value in assigned:
            yield None if value is None else self.word(value, where, depth + 1).text
        if name in self._environment:
            yield self._environment.literal(name)
        elif self._environment.hidden:
            yield None
        elif not assigned:
            yield _UNSET


_UNSET = "\0unset"
"""Nothing in the pod sets it; the image may."""


def _assignment(word: ShellWord) -> tuple[str, ShellWord | None] | None:
    """Name and value of `NAME=value`; the value is None for `NAME+=value`."""
    first = word.pieces[0] if word.pieces else None
    if first is None or first.expansion or first.quoted:
        return None
    found = _ASSIGNMENT.match(first.text)
    if found is None:
        return None
    if found[2] == "+=":
        return found[1], None
    rest = replace(first, text=first.text[found.end() :], start=first.start + found.end())
    return found[1], ShellWord((*([rest] if rest.text else ()), *word.pieces[1:]), word.end)

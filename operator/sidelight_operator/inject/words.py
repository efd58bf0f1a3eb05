"""The commands that a container runs, as words whose places in the container are known.

A word comes from `command` or `args`, from inside a shell script, or from the image (then it has
no place). What the kubelet and the shell put in is put in here where the pod says it for certain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sidelight_operator.inject.environment import REFERENCE, Environment
from sidelight_operator.inject.shell import Script, ShellError, ShellWord, inner, parse
from sidelight_operator.inject.shell_values import Scope
from sidelight_operator.inject.types import Json
from sidelight_operator.inject.word import Part, Place, Word

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_WRAPPERS = frozenset({"tini", "dumb-init", "catatonit", "env", "--", "-s", "-g"})
_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Invocation:
    """One command.

    Attributes:
        insert: where further arguments go in a script; None: after the container's `args`.
        assigned: what the script itself says of variables; None: their value is not known.
    """

    words: tuple[Word, ...]
    in_script: bool = False
    insert: Place | None = None
    assigned: dict[str, Word | None] | None = None


def invocations(container: Json, environment: Environment) -> list[Invocation] | None:
    """What `command` and `args` run; None when they are a script that cannot be read."""
    words = [
        kubelet_word(key, index, str(word), environment)
        for key in ("command", "args")
        for index, word in enumerate(container.get(key) or ())
    ]
    position = script_position(words)
    if position is None:
        return [Invocation(tuple(words))]
    if position < 0:
        return []  # a script in a file, or a shell that reads its input
    script = words[position]
    text = _source(container, script)
    positional = words[position + 2 :]
    try:
        return _in_script(Script.of(text), _key(script), environment, positional)
    except ShellError:
        return None


def script_position(words: Sequence[Word]) -> int | None:
    """Which word is the script of `sh -c`; -1: a shell without one; None: no shell."""
    at = 0
    while at < len(words) and base(words[at]) in _WRAPPERS:
        at += 1
    if at >= len(words) or base(words[at]) not in _SHELLS:
        return None
    at += 1
    takes_script = False
    while at < len(words):
        word = words[at].text
        if word is None or word == "--" or word[:1] not in ("-", "+") or word == "-":
            break
        if not word.startswith("--"):
            takes_script = takes_script or (word[0] == "-" and "c" in word)
            at += word.count("o")  # each takes the name of an option
        at += 1
    if at < len(words) and words[at].text == "--":
        at += 1
    return at if takes_script and at < len(words) else -1


def kubelet_word(key: str, index: int, text: str, environment: Environment) -> Word:
    """A word of `command` or `args`, with the kubelet's references put in."""
    parts, last = [], 0
    for found in REFERENCE.finditer(text):
        if last < found.start():
            parts.append(Part(text[last : found.start()], Place(key, index, last, found.start())))
        value = "$" if found[1] is None else environment.referred(found[1])
        place = Place(key, index, found.start(), found.end())
        parts.append(Part(value, place, variable=found[1] or "", verbatim=False))
        last = found.end()
    if last < len(text):
        parts.append(Part(text[last:], Place(key, index, last, len(text))))
    return Word(tuple(parts))


def base(word: Word) -> str:
    """The word without its folder; empty when it is not known."""
    return (word.text or "").rsplit("/", 1)[-1]


def _key(word: Word) -> Place:
    place = word.parts[0].place if word.parts else None
    return place or Place("args", 0, 0, 0)


def _source(container: Json, word: Word) -> str:
    if not word.parts:
        return ""
    place = _key(word)
    return str((container.get(place.key) or [])[int(place.index)])


def _in_script(
    script: Script,
    where: Place,
    environment: Environment,
    positional: Sequence[Word],
    depth: int = 0,
) -> list[Invocation]:
    commands = parse(script)
    scope = Scope(environment, commands)
    found: list[Invocation] = []
    for command in map(scope.command, commands):
        words = list(_words(command, where, scope, positional))
        nested = _nested(command, words)
        if nested is not None and depth < _MAX_DEPTH:
            found += _in_script(nested, where, environment, positional, depth + 1)
            continue
        if not words:
            continue
        end = command[-1].end
        insert = replace(where, start=end, end=end) if end >= 0 else None
        found.append(Invocation(tuple(words), in_script=True, insert=insert))
    assigned = scope.assigned_words(where)
    return [
        replace(one, assigned={**assigned, **(one.assigned or {})}) if one.in_script else one
        for one in found
    ]


def _words(
    command: Sequence[ShellWord],
    where: Place,
    scope: Scope,
    positional: Sequence[Word],
) -> Iterable[Word]:
    for shell_word in command:
        if shell_word.literal is None and all(p.text in ("$@", "$*") for p in shell_word.pieces):
            yield from positional
        else:
            yield scope.word(shell_word, where)


def _nested(command: Sequence[ShellWord], words: Sequence[Word]) -> Script | None:
    """The script inside `eval ...` or `sh -c '...'`."""
    if words and words[0].text == "eval":
        return inner(command[1:])
    position = script_position(words)
    forwards = len(words) != len(command)
    if position is None or position < 0 or forwards:
        return None
    return inner([command[position]])

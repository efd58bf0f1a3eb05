"""What a pod's spec says that its engine does: the settings that change outputs, as arguments and
environment of its container give them. Pure.

Rules:
1. Named as what an engine tells of itself is (`contract.identity.Setting`).
2. What the pod does not say for certain (a Secret, a command's output, a file) is unknown, which
   is not the same as not given: that is the engine's default, which says something, too.
3. No value that could hold a secret or a prompt: credentials and queries are cut out of addresses,
   what looks like a secret is hidden, a template stands as its digest, and so does a long value.
4. Equal containers share one `Declared`: five thousand pods have a few.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from sidelight_contract.engines import EngineType, profile_of
from sidelight_contract.identity import MAX_SETTING, Setting
from sidelight_operator.controller.declared_names import (
    ADDED_UP,
    MODEL_FIRST,
    NAMED_ALWAYS,
    NAMES,
    OF_FILES,
    SEVERAL_VALUES,
    SWITCHES,
    Names,
)
from sidelight_operator.inject.environment import Environment
from sidelight_operator.inject.flags import could_hide, given
from sidelight_operator.inject.recognise import Start, start_of
from sidelight_operator.inject.types import Json
from sidelight_operator.inject.word import Word
from sidelight_operator.inject.words import invocations

MAX_CONTAINERS = 4096
"""Different containers that are remembered: some KiB each, and a fleet has a few."""

_KEYS = ("image", "command", "args")
_SAME_AS_NOTHING: Mapping[str, set[str]] = {
    Setting.DTYPE: {"auto"},
    Setting.QUANTIZATION: {"auto", "none", "null"},
    Setting.KV_CACHE_DTYPE: {"auto"},
    Setting.TOKENIZER_MODE: {"auto"},
    Setting.LOAD_FORMAT: {"auto"},
    Setting.GUIDED_DECODING: {"auto"},
    Setting.MODEL_CODE: {"auto", "false"},
    Setting.TOOL_PARSER: {"false"},
    Setting.CHAT_TEMPLATE: {"auto"},
}
"""Values that are the defaults, so that whoever writes them down does not differ."""
_ANOTHER_WORD_FOR = {"half": "float16", "float": "float32"}
_NEGATIVE = re.compile(r"-\d")
_ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?:[^/@\s]*@)?(?P<rest>[^?#\s]*)\S*")
_SECRET = re.compile(
    r"api[_-]?key|secret|passw|credential|(?:auth|access|hf|hub|bearer)[_-]?token|bearer "
    r"|\bhf_[A-Za-z0-9]{16}|\bsk-[A-Za-z0-9]{16}",
    re.IGNORECASE,
)
_DIGEST_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of one engine."""

    settings: tuple[tuple[str, str], ...] = ()
    """Names and values, by name."""
    by_default: frozenset[str] = frozenset()
    """What is certainly left to the engine's default."""


NOTHING = Declared()


def declared_of(container: Json, engine: str, labels: Mapping[str, str] | None = None) -> Declared:
    """What `container` declares of its engine of this type."""
    if engine not in NAMES:
        return NOTHING
    known: Json = {key: container[key] for key in _KEYS if key in container}
    env = [entry for entry in container.get("env") or () if "name" in entry]
    known |= {"env": env, "envFrom": container.get("envFrom") and [{}]}
    fields = labels if any(map(_of_labels, env)) else None
    return _read(msgspec.json.encode([engine, known, fields]))


def _of_labels(entry: Json) -> bool:
    field = (entry.get("valueFrom") or {}).get("fieldRef") or {}
    return str(field.get("fieldPath", "")).startswith("metadata.labels")


@lru_cache(MAX_CONTAINERS)
def _read(encoded: bytes) -> Declared:
    engine, container, labels = msgspec.json.decode(encoded)
    return _Reader(EngineType(engine), container, Environment(container, labels)).read()


class _Reader:
    """Reads one container."""

    def __init__(self, engine: EngineType, container: Json, environment: Environment) -> None:
        self._engine = engine
        self._names: Names = NAMES[engine]
        self._environment = environment
        self._start = _start(engine, container, environment)
        words = self._start.arguments if self._start else ()
        flags = frozenset(
            name for entries in self._names.values() for entry in entries for name in _flags(entry)
        )
        self._given = _given(words, flags)
        self._certain = self._start is not None and self._start.alone and not (
            could_hide(words, sorted(flags)) or given([_plain(word) for word in words], OF_FILES)
        )  # fmt: skip
        if engine in MODEL_FIRST and words and not words[0].known_start.startswith("-"):
            rest = words[1:] if words[0].text == "serve" else words
            if rest and not rest[0].known_start.startswith("-"):
                self._given.setdefault("--model", [rest[0].text])

    def read(self) -> Declared:
        settings, by_default = {}, set()
        for setting, entries in self._names.items():
            values = [self._value(entry) for entry in entries]
            if any(value is None for value in values):
                continue
            said = {
                entry: text
                for entry, value in zip(entries, values, strict=True)
                if (text := _shown(setting, value or "")) and not _is_default(setting, text)
            }
            if _HIDDEN in said.values():
                continue
            if said:
                settings[str(setting)] = _bounded(_together(said, entries))
            elif setting != Setting.MODEL:
                by_default.add(str(setting))
        return Declared(tuple(sorted(settings.items())), frozenset(by_default))

    def _value(self, entry: str) -> str | None:
        """Empty: not given; None: not known."""
        for flag in _flags(entry):
            if flag in self._given:
                values = self._given[flag]
                return None if None in values else ", ".join(str(value) for value in values)
        variables = [name for name in entry.split("|") if not name.startswith("-")]
        for name in variables:
            assigned = self._assigned()
            if name in assigned:
                word = assigned[name]
                return word.text if word is not None else None
            if name in self._environment:
                return self._environment.literal(name)
        unknown = bool(variables) and self._environment.hidden
        if len(variables) < len(entry.split("|")):
            unknown = unknown or not self._certain
        return None if unknown else ""

    def _assigned(self) -> Mapping[str, Word | None]:
        return (self._start.invocation.assigned if self._start else None) or {}


def _start(engine: EngineType, container: Json, environment: Environment) -> Start | None:
    profile = profile_of(engine)
    return start_of(profile, container, invocations(container, environment)) if profile else None


def _flags(entry: str) -> list[str]:
    return [name for name in entry.split("|") if name.startswith("-")]


def _plain(word: Word) -> Word:
    """With dashes for underlines: engines take either, or one of them."""
    start = word.known_start
    if not start.startswith("--"):
        return word
    name, equals, value = start.partition("=")
    return Word.of(name.replace("_", "-") + equals + value)


def _given(words: Sequence[Word], flags: frozenset[str]) -> dict[str, list[str | None]]:
    """The values of those of `flags` that are among the words; None: not known."""
    found: dict[str, list[str | None]] = {}
    for number, word in enumerate(words):
        start = _plain(word).known_start
        name, equals, _ = start.partition("=")
        flag, dot, inner = name.partition(".")
        off = f"--{name.removeprefix('--no-')}"
        if name.startswith("--no-") and off in flags and off in SWITCHES:
            found[off] = ["false"]
        if flag not in flags or not start.startswith("-"):
            continue
        if flag in SWITCHES and not equals:
            values = _switched(words, number + 1)
        elif equals:
            values = [word.after(word.known_start.partition("=")[0] + "=").text]
        else:
            values = list(_following(words, number + 1, several=flag in SEVERAL_VALUES))
        if dot:  # a part of a JSON argument, as vLLM takes it
            values = [None if value is None else f"{inner}={value}" for value in values]
        if dot or flag in ADDED_UP:
            found.setdefault(flag, []).extend(values or ["true"])
        else:
            found[flag] = values or ["true"]
    return found


def _switched(words: Sequence[Word], at: int) -> list[str | None]:
    said = words[at].text if at < len(words) else None
    return [said] if said in ("true", "false") else ["true"]


def _following(words: Sequence[Word], start: int, *, several: bool) -> Iterator[str | None]:
    for word in words[start:]:
        known = word.known_start
        if known.startswith("-") and not _NEGATIVE.match(known):
            return
        yield word.text
        if not several:
            return


def _together(said: Mapping[str, str], entries: Sequence[str]) -> str:
    """One value alone where only the setting's main entry is given, unless its name says more."""
    if list(said) == [entries[0]] and entries[0].partition("|")[0] not in NAMED_ALWAYS:
        return said[entries[0]]
    return ", ".join(f"{_title(entry)}={value}" for entry, value in said.items())


def _title(entry: str) -> str:
    return entry.partition("|")[0].lstrip("-")


_HIDDEN = "\0"


def _shown(setting: str, value: str) -> str:
    value = value.strip()
    if setting == Setting.CHAT_TEMPLATE and ("{" in value or "\n" in value):
        return _digest(value)  # a template may hold a system prompt
    if _SECRET.search(value):
        return _HIDDEN
    value = _ADDRESS.sub(r"\g<scheme>\g<rest>", value)
    return _ANOTHER_WORD_FOR.get(value, value) if setting == Setting.DTYPE else value


def _is_default(setting: str, value: str) -> bool:
    return value.lower() in _SAME_AS_NOTHING.get(setting, ())


def _bounded(value: str) -> str:
    return value if len(value) <= MAX_SETTING else _digest(value)


def _digest(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:_DIGEST_LETTERS]}"

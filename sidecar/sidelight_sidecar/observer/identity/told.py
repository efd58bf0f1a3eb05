"""What an engine told so far, within bounds: whatever its answers hold, nothing here raises.

An answer is JSON that anybody may have written. So every value is checked for its type; what is no
name or setting is left out, what is too long stands as its digest, and of a URL neither a password
nor a signature is kept.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sidelight_contract.identity import (
    MAX_MODELS,
    MAX_NAME,
    MAX_SETTING,
    MAX_SETTINGS,
    RuntimeIdentity,
    ServedModel,
    WeightsFrom,
)

_AFTER_PATH = re.compile("[?#]")
_LONG = 4096
"""Characters of a text that are looked at; a longer one is no name, and a setting by its digest."""
_MAX_BITS = 64
"""Of a number; no setting has more."""


def parsed(body: bytes) -> Any:
    """JSON as objects; None when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def fields(value: object) -> dict[str, Any]:
    """A value as an object; empty when it is none."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A value as a list of no more than could be kept; empty when it is none."""
    return value[: 4 * MAX_MODELS] if isinstance(value, list) else []


def digest(data: bytes) -> str:
    """SHA-256 as it is written in an identity."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def text(value: object) -> str:
    """A string without what cannot be shown; empty when it is none, or endless."""
    if not isinstance(value, str) or len(value) > _LONG:
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in value).strip()


def place(value: object) -> str:
    """A path or a URL, without credentials."""
    if isinstance(value, str) and len(value) > _LONG:
        return digest(value.encode(errors="replace"))
    words = text(value)
    scheme, is_url, rest = words.partition("://")
    if is_url:
        host, slash, path = _AFTER_PATH.split(rest, maxsplit=1)[0].partition("/")
        words = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return words if len(words) <= MAX_SETTING else digest(words.encode(errors="replace"))


def setting(value: object) -> str:
    """A setting as a word; what has parts stands as their digest, what is not set is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MAX_BITS else ""
    if isinstance(value, float):
        return format(value, ".6g")
    if isinstance(value, dict | list) and value:
        return canonical(value)
    return place(value)


def canonical(value: object) -> str:
    """Digest of JSON, whatever the order of its keys."""
    try:
        return digest(msgspec.json.encode(value, order="deterministic"))
    except (RecursionError, ValueError, TypeError, OverflowError):
        return ""


class Told:
    """What one round of questions brought; of two answers to the same the first counts.

    Attributes:
        owner: who says that the served models are its own (`owned_by`): tells engines apart.
        asleep: the engine has let go of its model, and a further question would wake it.
    """

    def __init__(self) -> None:
        self._models: dict[str, ServedModel] = {}
        self._settings: dict[str, str] = {}
        self._version = ""
        self._weights = ""
        self._template = ""
        self.owner = ""
        self.asleep = False

    @property
    def names(self) -> list[str]:
        """Of the models, in their order."""
        return sorted(self._models)

    @property
    def has_template(self) -> bool:
        """Whether the chat template itself was told."""
        return bool(self._template)

    def version(self, value: object) -> None:
        """The engine's version."""
        words = text(value)
        if words and words != "unknown" and len(words) <= MAX_NAME:
            self._version = self._version or words

    def model(self, name: object, *, parent: object = "", root: object = "") -> None:
        """A served name; one that is too long for a label is none."""
        words = text(name)
        known = self._models.get(words)
        if (
            not words
            or len(words) > MAX_NAME
            or (known is None and len(self._models) >= MAX_MODELS)
        ):
            return
        of = text(parent)
        if len(of) > MAX_NAME:
            of = digest(of.encode(errors="replace"))
        told = ServedModel(words, of if of != words else "", place(root))
        if known is not None:
            told = ServedModel(words, known.parent or told.parent, known.root or told.root)
        self._models[words] = told

    def setting(self, name: str, value: object) -> None:
        """Something that changes outputs."""
        words = setting(value)
        if words and len(name) <= 2 * MAX_NAME and len(self._settings) < MAX_SETTINGS:
            self._settings.setdefault(str(name), words)

    def settings(self, values: dict[str, Any], names: Mapping[str, str]) -> None:
        """Those of `values` that are named, each by the name it has here."""
        for name, ours in names.items():
            self.setting(ours, values.get(name))

    def weights(self, value: object) -> None:
        """The engine's own word for the weights it has loaded."""
        self._weights = self._weights or place(value)

    def template(self, value: object) -> None:
        """The chat template's own text."""
        if isinstance(value, str) and value and not self._template:
            self._template = digest(value.encode(errors="replace"))

    def identity(self) -> RuntimeIdentity:
        """All of it."""
        return RuntimeIdentity(
            engine_version=self._version,
            models=[self._models[name] for name in self.names],
            settings=dict(sorted(self._settings.items())),
            weights=self._weights,
            weights_from=WeightsFrom.ENGINE.value if self._weights else "",
            template=self._template,
        )

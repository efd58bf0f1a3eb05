"""A body masked through its structure: the same JSON, with every string looked at.

Rules:
1. Every string leaf, every key, and every number that is long enough to be something is masked. A
   number with a finding becomes a string; keys that become alike are numbered.
2. JSON in a string (a call's arguments) is masked leaf by leaf, written again, and the text of it
   masked once more; an object that a tool is called with likewise.
3. Text parts of one message that follow each other are masked as one (`adjacent`).
4. Text in other forms is left out: inlined media, tokens' ids, log probabilities, vectors; but
   within arguments, nothing is taken for such. Where content is passed on unmasked (`Full`), all
   of them stay.
5. A short value is also looked at behind its key, for that may be what tells of it.
6. Nothing but the engine's own times, at the top of an answer, is passed on without a look.
"""

import re
from collections.abc import Mapping

import msgspec

from sidelight_sidecar.capture.content import encoded, fields, markers
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.limits import Limits
from sidelight_sidecar.capture.content.read_json import Json, read_json
from sidelight_sidecar.capture.content.text import Texts

LONG_NUMBER = 10**8
"""The first number of nine digits."""
_BLANKS = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|[ \t\r\n]++')
_SHORT_CHARACTERS = 128
_SHORT_NUMBER = 1000
"""A PIN or a code has four digits."""
_NOTHING: Mapping[str, Json] = {}
_NUMBERS = (int, float)
_FEW_NUMBERS = 64
"""Numbers of a tensor that may be a class or a score, and are not yet a vector."""


class Walker:
    """Masks bodies of one exchange.

    Attributes:
        masking: there is a masker.
    """

    def __init__(self, texts: Texts, limits: Limits) -> None:
        self._texts = texts
        self._limits = limits
        self._budget = Budget(limits.values)
        self.masking = texts.masking
        self._forms = texts.masking  # text in other forms is looked for
        self._known = texts.known
        self._plain = texts.plain

    def body(self, value: Json, *, answer: bool) -> Json:
        """A whole body, masked.

        Raises:
            DroppedError: it is beyond the limits.
        """
        if not self._texts.changes:
            return value
        self._budget = Budget(self._limits.values)
        if not answer or not isinstance(value, dict):
            return self._value(value)
        times: dict[str, Json] = {
            name: one
            for name, one in value.items()
            if name in fields.TIMES and type(one) is int and 0 <= one < fields.LARGEST_TIME
        }
        return self._object(value, times)

    def _value(self, value: Json, name: str = "", holder: Mapping[str, Json] = _NOTHING) -> Json:
        self._budget.spend()
        if isinstance(value, str):
            return value if value in self._plain else self._string(value, name, holder)
        if isinstance(value, dict):
            if name in fields.CALLED_WITH:
                return self._called_with(value)
            if self._forms and value and name in fields.LOGPROBS:
                return markers.LOGPROBS
            return self._object(value, {})
        if isinstance(value, list):
            return self._list(value, name)
        if isinstance(value, _NUMBERS) and not isinstance(value, bool):
            return self._number(value)
        return value

    def _object(self, value: dict[str, Json], given: dict[str, Json]) -> Json:
        """An object; of the fields that are given nothing needs to be done."""
        if self.masking and (told := self._told_by_name(value)):
            given = {**told, **given}
        tensor = _other_form(value) if self._forms else None
        if tensor is not None:
            given = {**given, "data": tensor}
        result: dict[str, Json] = {}
        for name, one in value.items():
            shown = name if name in self._known else self._key(name, result)
            result[shown] = given[name] if name in given else self._value(one, name, value)
        return result

    def _told_by_name(self, value: dict[str, Json]) -> dict[str, Json]:
        """Fields whose name is what tells of their value: `{"password": "hunter2"}`.

        The fields of an object are looked at together first: mostly that is all.
        """
        told = {
            name: text
            for name, one in value.items()
            if one is not None and name not in fields.FACTS and (text := _short(one))
        }
        if not told:
            return {}
        lines = {name: f"{name}: {text}" for name, text in told.items()}
        if self._texts.clean("\n".join(lines.values())):
            return {}
        result: dict[str, Json] = {}
        for name, line in lines.items():
            alone = (name, told[name])  # each of them is masked by itself anyway
            if not self._texts.clean(line) and all(map(self._texts.clean, alone)):
                head = f"{name}: "
                masked = self._texts.masked(line)
                known = masked.startswith(head)
                result[name] = (
                    self._texts.leaf(masked.removeprefix(head)) if known else markers.TEXT
                )
        return result

    def _key(self, name: str, taken: dict[str, Json]) -> str:
        shown = self._texts.masked(name)
        if shown == name or shown not in taken:
            return shown
        number = 2
        while f"{shown}#{number}" in taken:
            number += 1
        return f"{shown}#{number}"

    def _string(self, value: str, name: str, holder: Mapping[str, Json]) -> str:
        if name in fields.JSON_TEXT:
            return self._json_text(value)
        if self.masking and len(value) >= encoded.MEDIA_CHARACTERS:
            declared = fields.declared_type(holder)
            marker = encoded.binary(value, declared, media=name in fields.MEDIA)
            if marker is not None:
                return marker if self._texts.clean(marker) else markers.ENCODED
        return self._texts.leaf(value)

    def _json_text(self, text: str) -> str:
        try:
            value = read_json(text.encode(), self._limits)
        except DroppedError as error:
            if error.reason is not Dropped.NOT_JSON:
                raise
            return self._texts.leaf(text)
        if not isinstance(value, list | dict):
            return self._texts.leaf(text)
        masked = msgspec.json.encode(self._plainly(value)).decode()
        if masked == _BLANKS.sub(lambda found: found[1] or "", text):
            masked = text  # nothing was found, and nothing can be in it that was not read
        return self._texts.masked(masked)

    def _called_with(self, value: dict[str, Json]) -> Json:
        masked = self._plainly(value)
        if not self.masking:
            return masked
        text = msgspec.json.encode(masked).decode()
        again = self._texts.masked(text)
        if again == text:
            return masked
        try:
            return read_json(again.encode(), self._limits)
        except DroppedError:
            return again

    def _plainly(self, value: dict[str, Json] | list[Json]) -> Json:
        """A client's own words, in which a list of numbers is one."""
        before, self._forms = self._forms, False
        try:
            return self._object(value, {}) if isinstance(value, dict) else self._list(value, "")
        finally:
            self._forms = before

    def _number(self, value: float) -> Json:
        """A number as it is, or what stands for it.

        The fraction of a number is looked at within arguments alone, which are masked as text too.
        """
        if not self.masking or (self._forms and -LONG_NUMBER < value < LONG_NUMBER):
            return value
        text = str(int(value)) if value == int(value) else repr(value)
        masked = self._texts.masked(text)
        return value if masked == text else masked

    def _list(self, value: list[Json], name: str) -> Json:
        if self._forms and value and (other := _list_in_other_form(value, name)) is not None:
            return other
        if self._forms and name in fields.TOKENS:  # llama.cpp takes texts and tokens in one list
            value = [markers.tokens(1) if type(one) is int else one for one in value]
        texts = self._parts(value, name)
        result = []
        for position, one in enumerate(value):
            if position not in texts:
                result.append(self._value(one, name))
                continue
            self._budget.spend()
            field, text = texts[position]
            text = self._texts.cut(text)
            result.append(self._object(one, {field: text}) if isinstance(one, dict) else text)
        return result

    def _parts(self, value: list[Json], name: str) -> dict[int, tuple[str, str]]:
        """The texts of parts that follow each other, masked: position, field and text."""
        if not self.masking or len(value) < 2:
            return {}
        kinds = [_kind_of_part(one, name) for one in value]
        result: dict[int, tuple[str, str]] = {}
        start = 0
        for end in range(1, len(value) + 1):
            kind = kinds[start]
            if end < len(value) and kinds[end] == kind:
                continue
            if kind is not None and end - start > 1:
                parts = [_text_of(one, kind) for one in value[start:end]]
                masked = self._texts.adjacent(parts)
                result.update(zip(range(start, end), [(kind, one) for one in masked], strict=True))
            start = end
        return result


def _short(value: Json) -> str:
    """What a field says that may be told by its name; empty if it is none."""
    if isinstance(value, str):
        return value if len(value) <= _SHORT_CHARACTERS else ""
    if type(value) is int and not -_SHORT_NUMBER < value < _SHORT_NUMBER:
        return str(value)
    return ""


def _kind_of_part(value: Json, name: str) -> str | None:
    if isinstance(value, str):
        return "" if name == "content" else None
    return fields.text_of_part(value, name)


def _text_of(value: Json, kind: str) -> str:
    text = value.get(kind) if isinstance(value, dict) else value
    assert isinstance(text, str)
    return text


def _list_in_other_form(value: list[Json], name: str) -> Json:
    """What stands for a list that is text in another form; None if it is none."""
    if name in fields.VECTORS or not name:
        count = fields.numbers_in(value)
        if count and (name or (isinstance(value[0], list) and count >= _FEW_NUMBERS)):
            return markers.vector(count)
    if name in fields.TOKENS and (count := fields.numbers_in(value)):
        return markers.tokens(count)
    if name in fields.LOGPROBS and isinstance(value[0], dict | list | str):
        return markers.LOGPROBS
    return None


def _other_form(value: dict[str, Json]) -> str | None:
    """What stands for the data of a tensor (KServe) that are tokens, bytes or a vector."""
    kind, data, name = value.get("datatype"), value.get("data"), value.get("name")
    if not isinstance(kind, str) or not isinstance(data, list):
        return None
    count = fields.numbers_in(data)
    if kind in ("INT8", "UINT8") or (kind.lstrip("U").startswith("INT") and "id" in str(name)):
        return markers.tokens(count) if count else None
    return markers.vector(count) if count >= _FEW_NUMBERS and "INT" not in kind else None

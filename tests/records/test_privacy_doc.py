"""docs/privacy.md has a row for each field of a record, and records have what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from sidelight_contract.capture import CaptureSettings, Part, Payloads, RedactionSettings
from sidelight_sidecar.capture.recorder import Recorder
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.spool.queue import MemorySpool
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Energy, Origin, Record, Times, Tokens, Trace

PAGE = (Path(__file__).parents[2] / "docs/privacy.md").read_text()
MODES = ("Off", "Redacted", "Full")
MAIL = "ada.lovelace@example.org"
WORDS = {"yes", "no", "checked", "masked", "passed"}


def rows() -> dict[str, dict[str, str]]:
    """By field, what it is in each mode."""
    found = re.findall(
        r"^\| `([\w.]+)` \| [^|]+ \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE
    )
    assert len({field for field, *_ in found}) == len(found)
    return {field: dict(zip(MODES, cells, strict=True)) for field, *cells in found}


def fields_of(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """All of a struct, with those of structs in it."""
    for name, hint in get_type_hints(kind).items():
        inner = [one for one in (hint, *get_args(hint)) if isinstance(one, type)]
        struct = next((one for one in inner if issubclass(one, msgspec.Struct)), None)
        if struct is None:
            yield prefix + name
        else:
            yield from fields_of(struct, f"{prefix}{name}.")


def recorded(
    mode: str, *, word: str = "w-1", body: bytes = b"", drop: tuple[Part, ...] = ()
) -> dict[str, Any]:
    """A record with all that there can be, made in a mode."""
    record = Record(
        id="0" * 32, request_id=word,
        origin=Origin("ns", "pod-0", "chat", "v7", "VLLM", "0.1.0"),
        times=Times(1, 1.0, 0.1, 0.2, 0.3, 0.4),
        operation="chat", payloads=Payloads(mode).value, code=200, api="openai", model=word,
        error="stream_error", stream=True, choices=1, finish_reasons=[word], tool_calls=1,
        response_id=word, tokens=Tokens("usage", 1, 2, 3, 4), trace=Trace("a" * 32, "b" * 16, True),
        kept_for=["error"], probability=0.5, energy=Energy(1.5, "settled"),
    )  # fmt: skip
    message = {"messages": [{"role": "user", "content": f"I am {MAIL}"}]}
    said = body or json.dumps(message).encode()
    side = Payload(said, "application/json", "", len(said) + 1, ended=False)
    broken = Payload(b"\x00", "text/plain; charset=x", "", 1)
    text = Payload(f"I am {MAIL}".encode(), "text/plain", "", 99)
    settings = CaptureSettings(
        payloads=Payloads(mode), redaction=RedactionSettings(drop=list(drop))
    )
    merged: dict[str, Any] = {}
    for payload in (side, text, broken):
        spool = MemorySpool(["one"], 1 << 20)
        recorder = Recorder(redactor_for(settings), spool, lambda _: None)
        recorder.take(Captured(record, payload, payload), 0.0)
        (entry,) = spool.read("one", most=1, most_bytes=1)
        _merge(merged, json.loads(entry.record))
    return merged


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Whatever is in one of several records."""
    for key, value in more.items():
        if isinstance(value, dict) and key in ("request", "response"):
            _merge(into.setdefault(key, {}), value)
        else:
            into.setdefault(key, value)


def present(record: dict[str, Any], field: str) -> bool:
    """Whether it is there."""
    value: Any = record
    for name in field.split("."):
        if name not in value:
            return False
        value = value[name]
    return True


def test_every_field_has_a_row_and_no_row_is_without_a_field():
    """The format grows with the page."""
    assert sorted(rows()) == sorted(fields_of(Record))
    assert {cell for cells in rows().values() for cell in cells.values()} <= WORDS


@pytest.mark.parametrize("mode", MODES)
def test_a_record_has_the_fields_that_its_mode_has(mode: str):
    """All of those that are not `no`, and none of the others; what is as by default is left out."""
    record = recorded(mode)
    by_default = {"format", *(("findings",) if mode == "Full" else ())}
    for field, cells in rows().items():
        if field not in by_default:
            assert present(record, field) == (cells[mode] != "no"), field


@pytest.mark.parametrize("mode", ["Off", "Redacted"])
def test_an_address_is_in_no_field_that_is_checked_or_masked(mode: str):
    """Wherever a client can write it; and every such field says so."""
    record = recorded(mode, word=MAIL)
    assert MAIL not in json.dumps(record)
    sayable = {"request_id", "response_id", "model", "finish_reasons"}
    assert {field for field, cells in rows().items() if cells[mode] == "checked"} == sayable


def test_masked_is_masked_and_passed_is_as_it_passed():
    """The one difference of Redacted and Full, but for names."""
    contents = {field for field, cells in rows().items() if cells["Redacted"] == "masked"}
    assert contents == {field for field, cells in rows().items() if cells["Full"] == "passed"}
    assert contents == {"request.content", "response.content"}
    assert "[EMAIL]" in json.dumps(recorded("Redacted")["request"]["content"])
    assert MAIL in json.dumps(recorded("Full")["request"]["content"])


@pytest.mark.parametrize("mode", ["Redacted", "Full"])
def test_structural_rules_act_in_both_modes(mode: str):
    """What is dropped is not there, masked or not."""
    message = {"messages": [{"role": "system", "content": "the secret recipe"}]}
    record = recorded(mode, body=json.dumps(message).encode(), drop=(Part.SYSTEM_PROMPTS,))
    assert "recipe" not in json.dumps(record)

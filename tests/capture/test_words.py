"""Words that clients and engines choose: which of them are in a record."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_contract.capture import CaptureSettings, Payloads, RedactionSettings
from sidelight_contract.capture import Pattern as OwnPattern
from sidelight_sidecar.capture.recorder import Recorder
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.spool.queue import MemorySpool
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Origin, Record, Times, decode_record

ID = "0" * 32
MAIL = "ada.lovelace@example.org"
CARD = "4111111111111111"
MODES = [Payloads.OFF, Payloads.REDACTED]


def recorded(mode: Payloads = Payloads.OFF, *patterns: OwnPattern, **words: Any) -> Record:
    """What becomes of a record with these words."""
    chosen = CaptureSettings(payloads=mode, redaction=RedactionSettings(patterns=list(patterns)))
    spool = MemorySpool(["one"], 1 << 20)
    body = Payload(b"{}", words.pop("media_type", "application/json"), "", 2)
    record = Record(
        id=ID, request_id=words.pop("request_id", "r-1"), origin=Origin(),
        times=Times(start_unix_ns=1, duration_seconds=1.0), operation="chat",
        payloads=mode.value, **words,
    )  # fmt: skip
    Recorder(redactor_for(chosen), spool, lambda _: None).take(Captured(record, body, body), 0.0)
    (entry,) = spool.read("one", most=1, most_bytes=1)
    return decode_record(entry.record)


@pytest.mark.parametrize("mode", [*MODES, Payloads.FULL])
@pytest.mark.parametrize(
    "word", ["r-7", str(uuid.UUID(int=5)), "01J9ZQ4C3V/x", "a" * 128, "chatcmpl-" + "f" * 32]
)
def test_an_id_stays_as_it_is(mode: Payloads, word: str):
    """In every mode: whoever asks for it by id finds it."""
    found = recorded(mode, request_id=word, response_id=word, model=word, finish_reasons=["stop"])
    assert (found.request_id, found.response_id, found.model) == (word, word, word)
    assert found.finish_reasons == ["stop"]


@pytest.mark.parametrize("mode", [*MODES, Payloads.FULL])
@pytest.mark.parametrize("word", ["my name is Ada", "x\ny", "\u00e9t\u00e9", "x" * 257, "{}", "'"])
def test_what_has_no_form_of_an_id_is_not_passed_on(mode: Payloads, word: str):
    """The record's own id stands there; the engine's id, model and reasons are as if not said."""
    found = recorded(mode, request_id=word, response_id=word, model=word, finish_reasons=[word])
    assert (found.request_id, found.response_id) == (ID, "")
    assert (found.model, found.finish_reasons) == ("_other", ["_other"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("word", [MAIL, CARD, f"req-{MAIL}", "sk-proj-" + "aB3" * 16])
def test_what_masking_finds_in_a_word_is_not_passed_on(mode: Payloads, word: str):
    """Not even that it was there: no two requests have one id for it. vLLM's own id has the
    client's in it.
    """
    found = recorded(mode, request_id=word, response_id=f"chatcmpl-{word}", model=word)
    assert found.request_id == ID
    assert word not in repr(found)
    assert recorded(mode, request_id=word, response_id="chatcmpl-9").request_id == "chatcmpl-9"


def test_full_passes_on_what_masking_would_find():
    """For whoever asked for it, twice."""
    assert recorded(Payloads.FULL, request_id=MAIL).request_id == MAIL


def test_patterns_of_the_users_own_count():
    """An id of a customer."""
    own = OwnPattern("CUSTOMER", "cust-[0-9]+")
    assert recorded(Payloads.OFF, own, request_id="cust-42").request_id == ID


def test_without_usable_settings_all_built_in_detectors_do():
    """No payload is recorded then, and no address either."""
    broken = OwnPattern("BROKEN", "(")
    found = recorded(Payloads.REDACTED, broken, request_id=MAIL, media_type=f"{MAIL}/x")
    assert (found.request_id, found.request.media_type) == (ID, "")
    assert found.request.left_out == "settings_refused"


@settings(max_examples=100)
@given(st.text(max_size=40), st.sampled_from(MODES))
def test_no_word_has_a_space_or_what_is_not_ascii(word: str, mode: Payloads):
    """Whatever a client says."""
    found = recorded(mode, request_id=word, response_id=word, model=word, finish_reasons=[word])
    for said in (found.request_id, found.response_id, found.model, *found.finish_reasons):
        assert said.isascii()
        assert " " not in said
        assert said.isprintable()

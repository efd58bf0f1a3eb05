"""Whatever bodies are, a record of them is a line of JSON that sinks can read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_sidecar.capture.recorder import Recorder
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.spool.queue import MemorySpool
from sidelight_sidecar.records.handover import Captured, Payload
from sidelight_sidecar.records.record import Origin, Record, Times, decode_record

REDACTORS = {mode: redactor_for(CaptureSettings(payloads=mode)) for mode in Payloads}
TYPES = ["", "application/json", "text/event-stream", "text/plain", "image/png", "a b", "x/\u00e9"]


def line_of(payload: Payload, mode: Payloads) -> bytes:
    """The record of an exchange of which both sides are this."""
    record = Record(
        id="0" * 32, request_id="r-1", origin=Origin(), times=Times(1, 1.0), operation="chat",
        payloads=mode.value, api="openai",
    )  # fmt: skip
    spool = MemorySpool(["one"], 1 << 24)
    Recorder(REDACTORS[mode], spool, lambda _: None).take(Captured(record, payload, payload), 0.0)
    (entry,) = spool.read("one", most=1, most_bytes=1)
    return entry.record


@settings(max_examples=150)
@given(
    st.binary(max_size=60)
    | st.sampled_from([b"", b"{}", b"[1]", b"data: {}\n\n", b"\x1f\x8b", b"{"]),
    st.sampled_from(TYPES),
    st.sampled_from(["", "gzip", "br", "zstd", "other"]),
    st.booleans(),
    st.sampled_from([Payloads.REDACTED, Payloads.FULL]),
)
def test_a_record_is_a_line_of_json(
    data: bytes, media_type: str, coding: str, ended: bool, mode: Payloads
):
    """Also where there is nothing to tell of a body: then there is a word why."""
    line = line_of(Payload(data, media_type, coding, len(data), ended), mode)
    assert b"\n" not in line
    record = decode_record(line)
    told = json.loads(line)
    for side, body in (("request", record.request), ("response", record.response)):
        assert bool(body.left_out) != ("content" in told[side])


@pytest.mark.parametrize("mode", [Payloads.REDACTED, Payloads.FULL])
def test_a_body_that_cannot_be_told_says_why(mode: Payloads):
    """An image: its size, and a word."""
    told = json.loads(line_of(Payload(b"\x89PNG", "image/png", "", 4), mode))
    assert told["request"]["left_out"]
    assert told["request"]["bytes"] == 4
    assert "content" not in told["request"]

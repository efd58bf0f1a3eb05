"""The format of records: what is not known is not there, and content stays as it was masked."""

import msgspec

from sidelight_sidecar.records.record import (
    Body,
    Origin,
    Record,
    Times,
    Tokens,
    decode_record,
    encode_record,
)

RECORD = Record(
    id="0" * 32, request_id="r-1", origin=Origin(namespace="ml", pod="chat-0"),
    times=Times(start_unix_ns=1_764_000_000_000_000_000, duration_seconds=1.5),
    operation="chat", payloads="Redacted", code=200, tokens=Tokens(source="usage", output=0),
    request=Body("application/json", 20, msgspec.Raw(b'{"a":1.0,"b":"[EMAIL]"}')),
)  # fmt: skip


def test_what_is_not_known_is_left_out():
    """A zero that was counted is there; a number that nobody knows is not."""
    told = msgspec.json.decode(encode_record(RECORD))
    assert told["tokens"] == {"source": "usage", "output": 0}
    assert "trace" not in told
    assert "error" not in told
    assert told["times"].keys() == {"start_unix_ns", "duration_seconds"}


def test_content_is_carried_byte_for_byte():
    """As the masked JSON was written: numbers keep their form."""
    line = encode_record(RECORD)
    assert b'"content":{"a":1.0,"b":"[EMAIL]"}' in line
    assert bytes(decode_record(line).request.content) == b'{"a":1.0,"b":"[EMAIL]"}'
    assert encode_record(decode_record(line)) == line


def test_a_reader_of_today_reads_what_tomorrow_adds():
    """A field that it does not know is no error."""
    line = encode_record(RECORD)[:-1] + b',"colour":"blue"}'
    assert decode_record(line).request_id == "r-1"

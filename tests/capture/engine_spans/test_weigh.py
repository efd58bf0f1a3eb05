"""How many messages an export would become, before it is parsed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from engine_export import engine_span, export_of, leaking_span
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from receiver import spans_in as really_in

from sidelight_sidecar.capture.engine_spans.weigh import MAX_SPANS, WeightError, spans_in

WHOLE = export_of(leaking_span(), engine_span(2)).SerializeToString()


def nested(*fields: int, inner: bytes = b"") -> bytes:
    """A message in a message in a message."""
    for number in reversed(fields):
        size = len(inner)
        length = bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        inner = bytes([number << 3 | 2]) + bytes([*length, size]) + inner
    return inner


def test_spans_are_counted_as_the_parser_counts_them():
    """Those of an engine, and none."""
    assert spans_in(b"") == 0
    assert spans_in(WHOLE) == 2


@settings(max_examples=200, deadline=None)
@given(
    cut=st.integers(0, len(WHOLE)), place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255)
)
def test_what_the_parser_takes_has_the_spans_that_were_counted(cut: int, place: int, byte: int):
    """However it is damaged: what is refused here would else be somebody's surprise."""
    data = bytearray(WHOLE)
    data[place] = byte
    damaged = bytes(data[:cut])
    try:
        parsed = ExportTraceServiceRequest.FromString(damaged)
    except DecodeError:
        return
    with suppress(WeightError):  # stricter than the parser is well enough
        assert spans_in(damaged) >= len(really_in(parsed))


@pytest.mark.parametrize(
    ("fields", "inner"),
    [
        ((1, 2), b"\x12\x00" * (MAX_SPANS + 1)),
        ((1, 2, 2), b"\x4a\x00" * 70_000),
        ((1, 2, 2), b"\x5a\x00" * 70_000),
        ((1, 1), b"\x0a\x00" * 70_000),
        ((1, 2, 2, 9, 2, 5), b"\x0a\x00" * 70_000),
        ((1, 2, 2, 9, 2, 6), b"\x0a\x00" * 70_000),
        ((), b"\x0a\x00" * 70_000),
        ((1, 2, 2), b"\x08\x00" * 270_000),
    ],
    ids=["spans", "attributes", "events", "resource", "list", "map", "resources", "numbers"],
)
def test_too_many_messages_are_refused_before_they_are_made(fields: tuple[int, ...], inner: bytes):
    """Two bytes each, a hundred in memory."""
    with pytest.raises(WeightError, match="too_many"):
        spans_in(nested(*fields, inner=inner))


def test_every_message_that_can_be_in_an_export_is_weighed():
    """By the descriptors: a field that is not known here would be a way around."""
    from sidelight_sidecar.capture.engine_spans.weigh import _NESTED  # noqa: PLC0415

    names = {"request": ExportTraceServiceRequest.DESCRIPTOR, "span": Span.DESCRIPTOR}
    waiting = list(names.items())
    seen = set()
    while waiting:
        kind, descriptor = waiting.pop()
        if kind in seen or kind == "leaf":
            continue
        seen.add(kind)
        messages = {one.number: one.message_type for one in descriptor.fields if one.message_type}
        repeated = {one.number for one in descriptor.fields if one.is_repeated}
        for number, message in messages.items():
            inner = _NESTED[kind].get(number)
            assert inner is not None, (kind, number)
            waiting.append((inner, message))
        for one in descriptor.fields:
            if one.number in repeated and one.type in (one.TYPE_STRING, one.TYPE_BYTES):
                assert one.number in _NESTED[kind], (kind, one.name)

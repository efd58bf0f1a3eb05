"""What of `traceparent` is taken: an id, and nothing that only has the length of one."""

from __future__ import annotations

import pytest
from observed import CHAT_STREAM, Script, observed, request

TRACE = b"0af7651916cd43dd8448eb211c80319c"
SPAN = b"b7ad6b7169203331"


def traced(header: bytes) -> tuple[str, str, bool]:
    head = request().replace(b"Host: x", b"traceparent: " + header)
    (exchange,) = observed(Script().client(head).engine(*CHAT_STREAM)).exchanges
    return exchange.trace_id, exchange.parent_id, exchange.trace_sampled


@pytest.mark.parametrize(("flags", "sampled"), [(b"01", True), (b"00", False), (b"03", True)])
def test_the_callers_span_is_known(flags: bytes, sampled: bool):
    """With what it says of sampling."""
    assert traced(b"00-%s-%s-%s" % (TRACE, SPAN, flags)) == (TRACE.decode(), SPAN.decode(), sampled)


@pytest.mark.parametrize(
    "trace",
    [
        b"thisIsMyPasswordAndNobodyKnowsIt",
        b"0" * 32,
        TRACE.upper(),
        b"",
        TRACE + b"0",
        b"\xb2" * 32,
    ],
)
def test_what_is_no_trace_id_is_not_taken(trace: bytes):
    """Letters and digits are no id yet: they would be in records, spans and exemplars."""
    assert traced(b"00-%s-%s-01" % (trace, SPAN)) == ("", "", False)


@pytest.mark.parametrize("span", [b"thisIsMyPassword", b"0" * 16, b"", SPAN + b"0"])
def test_what_is_no_span_id_is_not_taken(span: bytes):
    """The trace is, for that much is right."""
    assert traced(b"00-%s-%s-01" % (TRACE, span)) == (TRACE.decode(), "", False)

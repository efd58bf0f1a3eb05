"""What the summary is told of comparisons: addable, whole on the wire, and the metrics' own."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from observed import CHAT_STREAM, MS, Kept, Script, pipeline_of, request

from sidelight_contract.names import DifferenceCause
from sidelight_contract.summary import Compared, Reconciliation, decode_summary, encode_summary
from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.engine.signals import EngineSample
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.observer.reconcile.compare import Figure

_counts = st.integers(0, 1 << 40)
_compared = st.builds(Compared, *[_counts] * len(Compared.__struct_fields__))
_reconciliations = st.builds(
    Reconciliation,
    **dict.fromkeys(("read", "silent", "compared", "agreed", "span_ns"), _counts),
    figures=st.dictionaries(st.sampled_from([f.value for f in Figure]), _compared),
    causes=st.dictionaries(st.sampled_from([c.value for c in DifferenceCause]), _counts),
)


def merged(*parts: Reconciliation) -> Reconciliation:
    """All of them, added to nothing."""
    whole = Reconciliation()
    for part in parts:
        whole.merge(part)
    return whole


@given(_reconciliations, _reconciliations, _reconciliations)
def test_merging_is_in_any_order_and_in_any_groups(
    a: Reconciliation, b: Reconciliation, c: Reconciliation
) -> None:
    """Rule 1 of the summary; and what is merged is left as it was."""
    before = msgspec.json.encode([a, b, c])
    assert merged(a, b, c) == merged(c, merged(b, a)) == merged(merged(a, b), c)
    assert msgspec.json.encode([a, b, c]) == before


def said(pipeline: Pipeline, at_ms: float, prompt: float, output: float) -> None:
    """The engine's counters at a time."""
    pipeline.engine_said(
        EngineSample(
            asked_ns=int(at_ms * MS), at_ns=int((at_ms + 1) * MS),
            prompt_tokens=prompt, output_tokens=output,
        )
    )  # fmt: skip


def compared(prompt: float) -> Pipeline:
    """A stream of 11 and 3 tokens between quiet samples, and the engine's prompt tokens."""
    pipeline = pipeline_of(Kept())
    said(pipeline, 1, 500, 100)
    pipeline.feed(Script(at_ms=100).client(request()).engine(*CHAT_STREAM).close().frames)
    said(pipeline, 5_002, 500 + prompt, 103)
    said(pipeline, 10_003, 500 + prompt, 103)
    return pipeline


def test_the_summary_has_the_newest_comparison() -> None:
    """Over the wire, and as the metrics have it."""
    pipeline = compared(11)
    told = decode_summary(encode_summary(pipeline.summary(20_000 * MS))).reconciliation
    assert (told.read, told.compared, told.agreed, told.exact) == (1, 1, 1, 1)
    assert told.figures["prompt_tokens"] == Compared(11, 11, 11, 11, agreed=1)
    assert told.figures["output_tokens"] == Compared(3, 3, 3, 3, agreed=1)
    assert (told.spans_agreed, told.spans_differed, told.causes) == (1, 0, {})
    text = pipeline.exposition()
    assert b"sidelight_reconciliation_agree 1.0" in text
    assert b'sidelight_reconciliation_difference_ratio{figure="output_tokens"} 0.0' in text
    assert b'sidelight_reconciliation_spans_total{result="agree"} 1.0' in text


def test_a_disagreement_is_told_with_its_cause() -> None:
    """Forty tokens of prompts that did not come through the sidecar."""
    pipeline = compared(51)
    told = pipeline.summary(20_000 * MS).reconciliation
    assert (told.compared, told.agreed, told.spans_differed) == (1, 0, 1)
    assert told.causes == {"NotThroughSidecar": 1}
    assert told.figures["prompt_tokens"] == Compared(11, 51, 11, 11, differed=1)
    text = pipeline.exposition()
    assert b"sidelight_reconciliation_agree 0.0" in text
    assert b'sidelight_reconciliation_causes_total{cause="NotThroughSidecar"} 1.0' in text
    assert b'_difference_ratio{figure="prompt_tokens"} -0.78' in text


def test_before_there_is_a_comparison_nothing_is_claimed() -> None:
    """Not even that it agrees; and an engine that tells nothing is told of."""
    pipeline = pipeline_of(Kept())
    assert b"sidelight_reconciliation_agree " not in pipeline.exposition().replace(
        b"# HELP sidelight_reconciliation_agree ", b""
    ).replace(b"# TYPE sidelight_reconciliation_agree ", b"")
    assert pipeline.summary(1).reconciliation == Reconciliation()
    pipeline.feed(Script().client(request()).engine(*CHAT_STREAM).close().frames)
    assert pipeline.summary(1).reconciliation == Reconciliation(silent=1)


def test_a_connection_that_is_not_read_is_no_proof_of_a_way_around_the_sidecar() -> None:
    """It may have carried what the engine counted more."""
    pipeline = pipeline_of(Kept())
    said(pipeline, 1, 0, 0)
    pipeline.feed(Script(at_ms=50).client(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").frames)
    said(pipeline, 5_002, 40, 9)
    said(pipeline, 10_003, 40, 9)
    assert pipeline.summary(20_000 * MS).reconciliation.causes == {"NotObserved": 1}


def test_requests_that_were_in_flight_at_a_restart_of_the_observer_went_unobserved() -> None:
    """Their connections were there before it; nobody is accused of a way around the sidecar. Once
    one can be followed again, and the other is closed, there is no such excuse.
    """
    pipeline = pipeline_of(Kept())
    restarted = [(0, codec.STATS, 0, -1, b'{"flows_gapped_no_observer":2,"observer_starts":2}')]
    pipeline.feed(restarted)
    there = [Script(flow).add(codec.GAP) for flow in (1, 2)]
    for script in there:
        pipeline.feed(script.frames)
    said(pipeline, 30, 0, 0)
    pipeline.feed(Script(1, at_ms=200).engine(*CHAT_STREAM).frames[1:])
    said(pipeline, 5_031, 40, 9)
    said(pipeline, 10_032, 40, 9)
    assert pipeline.summary(20_000 * MS).reconciliation.causes == {"NotObserved": 1}

    whole = Script(1, at_ms=20_000).client(request()).engine(*CHAT_STREAM).frames[1:]
    pipeline.feed(whole)
    pipeline.feed(Script(2, at_ms=20_000).close().frames[1:])
    for at_ms, prompt in ((25_000, 51), (60_000, 51), (100_000, 91), (140_000, 91)):
        said(pipeline, at_ms, prompt, 12)
    assert pipeline.summary(200_000 * MS).reconciliation.causes == {"NotThroughSidecar": 1}

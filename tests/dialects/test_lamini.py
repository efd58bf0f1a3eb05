"""Lamini: one request of the model over many polls."""

from __future__ import annotations

import json

import pytest
from observed import Kept, Script, answer, observed, pipeline_of, request

from sidelight_sidecar.frames import codec
from sidelight_sidecar.observer.exchange import Exchange
from sidelight_sidecar.observer.logical import EXPIRY_SECONDS, MAX_OPEN

V3 = "/v3/streaming_completions"
V1 = "/v1/streaming_completions"
SUBMIT = json.dumps({"model_name": "llama", "prompt": "x", "max_new_tokens": 9}).encode()


def get(identity: str, of: str = V3) -> bytes:
    """A poll of version 3."""
    return f"GET {of}/{identity}/result HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def result(*outputs: str | None, done: str | None = None) -> dict[str, object]:
    """What there is of each output; done: why all of them ended."""
    return {"outputs": list(outputs), "finish_reason": [done for _ in outputs]}


def submitted(script: Script, identity: str = "7") -> Script:
    """The POST of version 3 and its answer."""
    return script.client(request(SUBMIT, V3)).engine(answer({"id": identity}))


def polled(script: Script, body: object, identity: str = "7", *, status: int = 200) -> Script:
    """A poll, half a second after what was before it."""
    return script.client(get(identity), after_ms=500).engine(answer(body, status))


def logical(kept: Kept) -> list[Exchange]:
    """The requests that the polls make up."""
    return [exchange for exchange in kept.exchanges if exchange.generating]


def test_polls_are_one_request_with_the_time_of_the_first_output() -> None:
    """From the POST's first byte to the last poll's end; no poll counts as the model's request."""
    script = submitted(Script())
    for body in ({}, result(""), result("Hel"), result("Hel"), result("Hello", done="stop")):
        polled(script, body)
    kept = observed(script)
    (whole,) = logical(kept)
    assert (whole.operation, whole.dialect) == ("text_completion", "lamini")
    assert (whole.model, whole.response_id, whole.code) == ("llama", "7", 200)
    assert (whole.stream, whole.error, whole.finish_reasons) == (True, "", ["stop"])
    assert (whole.arrivals, whole.choices, whole.has_output) == (2, 1, True)
    assert whole.time_to_first_token == pytest.approx(0.010 + 3 * 0.510)
    assert whole.duration == pytest.approx(0.010 + 5 * 0.510)
    polls = [exchange for exchange in kept.exchanges if exchange is not whole]
    assert [poll.operation for poll in polls] == ["other"] * 6
    assert [poll.dialect for poll in polls] == ["lamini"] * 6
    assert whole.bytes_out == sum(poll.bytes_out for poll in polls)


def test_polls_are_no_estimate_of_tokens_and_tell_no_gaps() -> None:
    """How many there are is the client's doing."""
    script = submitted(Script())
    polled(polled(script, result("a")), result("ab", done="stop"))
    kept = observed(script)
    (whole,) = logical(kept)
    assert (whole.output_tokens, whole.estimated_tokens, whole.token_source) == (None, 0, None)
    assert whole.usage_missing
    assert kept.gaps == []
    assert whole.gaps.count == 0
    assert whole.time_per_output_token is None
    assert whole in kept.counted_exchanges


def test_version_1_sends_the_same_post_again() -> None:
    """Later with the server that the first answer named."""
    body = {"model_name": "llama", "prompt": "x"}
    script = Script().client(request(json.dumps(body).encode(), V1))
    script.engine(answer({"server": "s1", "status": [False], "data": [""]}))
    body["server"] = "s1"
    for data, done in (("Hel", False), ("Hello", True)):
        script.client(request(json.dumps(body).encode(), V1), after_ms=500)
        script.engine(answer({"server": "s1", "status": [done], "data": [data]}))
    (whole,) = logical(observed(script))
    assert (whole.model, whole.error, whole.arrivals) == ("llama", "", 2)
    assert whole.time_to_first_token == pytest.approx(0.520)


def test_same_words_asked_anew_are_another_request() -> None:
    """Output never shrinks: the first was left by its client."""
    script = Script()
    for data, reason in (("Hel", None), ("", None), ("Hello", "stop")):
        script.client(request(SUBMIT, V1)).engine(
            answer({"outputs": [data], "finish_reason": [reason]})
        )
    left, whole = logical(observed(script))
    assert (left.code, left.error) == (499, "client_disconnect")
    assert (whole.code, whole.error) == (200, "")


def test_several_prompts() -> None:
    """It is over when each is; a reason may come before."""
    script = submitted(Script())
    polled(script, {"outputs": ["a", None], "finish_reason": ["stop", None]})
    polled(script, {"outputs": ["a", "b"], "finish_reason": ["stop", "length"]})
    (whole,) = logical(observed(script))
    assert (whole.choices, whole.finish_reasons, whole.arrivals) == (2, ["stop", "length"], 2)


def test_batches_are_polled_in_the_same_way() -> None:
    """`batch_completions` differs by its name alone."""
    path = "/v3/batch_completions"
    script = Script().client(request(SUBMIT, path)).engine(answer({"id": "9"}))
    script.client(get("9", path)).engine(answer(result("a", done="stop")))
    assert len(logical(observed(script))) == 1


def test_requests_that_run_at_once_are_told_apart() -> None:
    """On connections of their own or on one."""
    script = submitted(submitted(Script(), "1"), "2")
    polled(polled(script, result("a"), "1"), result("b", done="stop"), "2")
    polled(script, result("ab", done="length"), "1")
    two, one = logical(observed(script))
    assert (two.response_id, two.finish_reasons) == ("2", ["stop"])
    assert (one.response_id, one.finish_reasons, one.arrivals) == ("1", ["length"], 2)


def test_refused_request_is_the_models() -> None:
    """No poll will follow it."""
    script = Script().client(request(SUBMIT, V3)).engine(answer({"detail": "busy"}, 429))
    (refused,) = logical(observed(script))
    assert (refused.operation, refused.code, refused.error) == (
        "text_completion", 429, "rate_limited",
    )  # fmt: skip


def test_poll_that_fails_does_not_end_the_request() -> None:
    """Clients try again."""
    script = submitted(Script())
    polled(script, b"oops", status=500)
    polled(script, result("a", done="stop"))
    (whole,) = logical(observed(script))
    assert (whole.code, whole.error) == (200, "")


def later(script: Script, seconds: float) -> Script:
    """Some other request, so much later."""
    return script.client(b"GET /x HTTP/1.1\r\n\r\n", after_ms=seconds * 1000).engine(answer({}))


@pytest.mark.parametrize("failed", [False, True])
def test_request_that_nobody_polls_any_more(failed: bool) -> None:
    """Its client lost interest; or it failed, and that was the last it said."""
    script = polled(submitted(Script()), result("a"))
    if failed:
        polled(script, b"", status=503)
    kept = Kept()
    pipeline = pipeline_of(kept)
    pipeline.feed(later(script, EXPIRY_SECONDS - 1).frames)
    assert not logical(kept)
    pipeline.feed(later(Script(8, script.at_ms), 2).frames)
    (left,) = logical(kept)
    assert (left.code, left.error) == (
        (503, "overloaded") if failed else (499, "client_disconnect")
    )
    assert left.first_output_ns
    assert pipeline.summary(0).sidecar.in_flight == 0


def test_open_requests_are_bounded() -> None:
    """The one polled longest ago is lost sight of, and counts as nothing."""
    kept = Kept()
    script = Script()
    for number in range(MAX_OPEN + 1):
        submitted(script, str(number))
    pipeline = pipeline_of(kept)
    pipeline.feed(script.frames)
    assert [lost.response_id for lost in kept.dropped_exchanges] == ["0"]
    assert pipeline.summary(0).sidecar.in_flight == MAX_OPEN


def test_poll_of_what_was_never_begun_is_an_exchange_like_any_other() -> None:
    """The observer may have started in the middle."""
    kept = observed(polled(Script(), result("a", done="stop")))
    assert [exchange.operation for exchange in kept.exchanges] == ["other"]


def test_gap_amid_the_polls_ends_nothing() -> None:
    """What was not seen is not missed: output is cumulative."""
    script = submitted(Script()).client(get("7")).add(codec.GAP)
    polled(script, result("abc", done="stop"))
    kept = observed(script)
    assert len(kept.dropped_exchanges) == 1
    (whole,) = logical(kept)
    assert whole.arrivals == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"finish_reason":{}}', b'{"outputs":{"a":1}}', b"[" * 9999],
)
def test_answers_that_are_none(body: bytes) -> None:
    """Nothing follows from them."""
    script = submitted(Script()).client(get("7")).engine(answer(body))
    polled(script, result("a", done="stop"))
    assert len(logical(observed(script))) == 1

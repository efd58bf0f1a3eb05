"""OpenAI's responses, streamed and whole."""

from __future__ import annotations

import json

import pytest
from answers import answered, exchange_of
from observed import STREAM_END, STREAM_HEAD, chunk

from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import Exchange

PATH = "/v1/responses"
USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15,
}  # fmt: skip


def event(kind: str, **fields: object) -> bytes:
    """One event in an HTTP chunk."""
    data = json.dumps({"type": kind, "sequence_number": 1, **fields})
    return chunk(f"event: {kind}\ndata: {data}\n\n".encode())


def response(status: str, output: object = (), **fields: object) -> dict[str, object]:
    """The response object."""
    return {"id": "resp_1", "object": "response", "model": "m", "status": status, "error": None,
            "incomplete_details": None, "output": output, "usage": None, **fields}  # fmt: skip


CREATED = event("response.created", response=response("in_progress"))
TEXT = event("response.output_text.delta", delta="a", item_id="i", output_index=0)
COMPLETED = event("response.completed", response=response("completed", usage=USAGE))
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}


def streamed(*events: bytes) -> Exchange:
    """The exchange of a stream."""
    return exchange_of(PATH, {"stream": True}, STREAM_HEAD, *events, STREAM_END)


def test_stream_has_times_tokens_and_reason() -> None:
    """Only deltas bear output; there is no `[DONE]`."""
    exchange = streamed(
        CREATED, event("response.in_progress", response=response("in_progress")),
        event("response.output_item.added", item={"type": "message", "content": []}),
        event("response.content_part.added", part={"type": "output_text", "text": ""}),
        TEXT, TEXT, event("response.output_text.done", text="aa"), COMPLETED,
    )  # fmt: skip
    assert (exchange.operation, exchange.dialect) == ("responses", "openai_responses")
    assert (exchange.model, exchange.response_id, exchange.error) == ("m", "resp_1", "")
    assert (exchange.events, exchange.arrivals) == (2, 2)
    assert exchange.time_to_first_token == pytest.approx(0.060)
    assert (exchange.prompt_tokens, exchange.cached_tokens) == (9, 4)
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (6, 2)
    assert (exchange.finish_reasons, reasons_of(exchange)) == (["completed"], ["stop"])


@pytest.mark.parametrize(
    ("kind", "reasoning"),
    [
        ("response.output_text.delta", False),
        ("response.refusal.delta", False),
        ("response.function_call_arguments.delta", False),
        ("response.custom_tool_call_input.delta", False),
        ("response.code_interpreter_call_code.delta", False),
        ("response.audio.delta", False),
        ("response.audio.transcript.delta", False),
        ("response.reasoning_text.delta", True),
        ("response.reasoning_summary_text.delta", True),
    ],
)
def test_every_delta_bears_output(kind: str, *, reasoning: bool) -> None:
    """Those of reasoning are no first output; an empty one is none at all."""
    exchange = streamed(CREATED, event(kind, delta=""), event(kind, delta="a"), TEXT, COMPLETED)
    assert exchange.events == 2
    assert exchange.time_to_first_token == pytest.approx(0.040)
    assert exchange.reasoned is reasoning


def item(kind: str, **fields: object) -> dict[str, object]:
    """An item of the output."""
    return {"type": kind, "id": f"i_{kind}", **fields}


@pytest.mark.parametrize("listed", ["in both", "as they begin", "at the end"])
def test_calls_of_the_client_and_of_the_server(listed: str) -> None:
    """Some servers leave the output at the end empty, some send no items before it."""
    items = [
        item("function_call", name="f"), item("function_call", name="f"),
        item("custom_tool_call"), item("web_search_call"), item("mcp_call"),
        item("tool_search_call", execution="client"), item("tool_search_call", execution="server"),
        item("reasoning", summary=[]), MESSAGE,
    ]  # fmt: skip
    added = [event("response.output_item.added", item=one) for one in items]
    done = [event("response.output_item.done", item=one) for one in items]
    last = response("completed", [] if listed == "as they begin" else items, usage=USAGE)
    events = [] if listed == "at the end" else added + done
    exchange = streamed(CREATED, *events, event("response.completed", response=last))
    assert (exchange.tool_calls, exchange.server_tool_calls) == (4, 3)
    assert exchange.has_output
    assert reasons_of(exchange) == ["tool_calls"]


def test_whole_response() -> None:
    """With a message, a call and its counts."""
    body = response("completed", [MESSAGE, item("function_call")], usage=USAGE)
    exchange = answered(PATH, {}, body)
    assert (exchange.model, exchange.response_id, exchange.tool_calls) == ("m", "resp_1", 1)
    assert (exchange.output_tokens, exchange.reasoning_tokens) == (6, 2)
    assert not any((exchange.stream, exchange.empty))


@pytest.mark.parametrize(
    ("output", "empty"),
    [
        ([], True),
        ([item("reasoning", summary=[], encrypted_content="x")], True),
        ([item("reasoning", summary=[{"type": "summary_text", "text": "x"}])], False),
        ([item("reasoning", content=[{"type": "reasoning_text", "text": "x"}])], False),
        ([item("message", content=[{"type": "output_text", "text": ""}])], True),
        ([item("message", content=[{"type": "refusal", "refusal": "x"}])], False),
        ([item("image_generation_call", result="x")], False),
        ([item("function_call")], False),
        ("x", True),
        ([5, None], True),
    ],
)
def test_empty_response_is_one_that_holds_nothing(output: object, *, empty: bool) -> None:
    """Reasoning counts where it can be read."""
    assert answered(PATH, {}, response("completed", output)).empty is empty


@pytest.mark.parametrize(
    ("why", "normal"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_incomplete_response_says_why(why: str, normal: str) -> None:
    """It ended all the same; the status alone would not say how."""
    body = response("incomplete", [MESSAGE], incomplete_details={"reason": why}, usage=USAGE)
    for exchange in (
        answered(PATH, {}, body),
        streamed(CREATED, TEXT, event("response.incomplete", response=body)),
    ):
        assert (exchange.error, exchange.finish_reasons) == ("", [why])
        assert reasons_of(exchange) == [normal]


def test_failed_response() -> None:
    """Its usage counts, the exchange failed."""
    fault = {"code": "server_error", "message": "x"}
    body = response("failed", error=fault, usage=USAGE)
    exchange = streamed(CREATED, TEXT, event("response.failed", response=body))
    assert (exchange.error, exchange.output_tokens) == ("stream_error", 6)
    assert reasons_of(exchange) == ["error"]
    assert answered(PATH, {}, body).error == "server_error"
    assert answered(PATH, {}, response("failed")).error == "server_error"


@pytest.mark.parametrize(
    "fields", [{"code": "x", "message": "x", "param": None}, {"error": {"message": "x"}}]
)
def test_error_event(fields: dict[str, object]) -> None:
    """Flat, as OpenAI sends it, or nested."""
    assert streamed(CREATED, TEXT, event("error", **fields)).error == "stream_error"


def test_prompt_that_is_too_long() -> None:
    """By its code, with a status or in the stream."""
    fault = {"code": "context_length_exceeded", "message": "x"}
    assert answered(PATH, {}, {"error": fault}, 400).error == "context_length"
    failed = event("response.failed", response=response("failed", error=fault))
    assert streamed(CREATED, failed).error == "context_length"


@pytest.mark.parametrize("events", [[], [CREATED], [CREATED, TEXT]])
def test_stream_without_its_last_event_was_broken_off(events: list[bytes]) -> None:
    """`[DONE]` is no substitute."""
    assert streamed(*events).error == "upstream_reset"
    assert streamed(*events, chunk(b"data: [DONE]\n\n")).error == "upstream_reset"


def test_done_after_the_last_event_is_passed_over() -> None:
    """Gateways send one."""
    exchange = streamed(CREATED, TEXT, COMPLETED, chunk(b"data: [DONE]\n\n"))
    assert (exchange.error, exchange.unread) == ("", "")


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_receipt_of_work_in_the_background_is_no_empty_answer(status: str) -> None:
    """The output is fetched later, by another request."""
    exchange = answered(PATH, {"background": True}, response(status))
    assert not any((exchange.empty, exchange.usage_missing, exchange.error))
    assert exchange.finish_reasons == []

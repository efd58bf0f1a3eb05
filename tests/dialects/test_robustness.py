"""Whatever a server sends, no dialect raises, keeps memory, or says what cannot be."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from grpc_calls import call, framed, infer_response, raw_text, streamed, tensor
from hypothesis import given
from hypothesis import strategies as st
from observed import MS, Kept

from sidelight_sidecar.observer.bodies.protobuf import ProtobufError, fields
from sidelight_sidecar.observer.budget import Budget
from sidelight_sidecar.observer.dialects.finish import reasons_of
from sidelight_sidecar.observer.exchange import MAX_CHOICES, Exchange
from sidelight_sidecar.observer.http.transaction import Context, Transaction
from sidelight_sidecar.observer.logical import LogicalRequests
from sidelight_sidecar.observer.replay import Lines
from sidelight_sidecar.observer.token_counter import TokenCounter

META = {"id": "r", "finish_reason": {"type": "stop", "matched": 2}, "prompt_tokens": 6,
        "completion_tokens": 2, "cached_tokens": 5}  # fmt: skip
LLAMA = {"index": 0, "content": "a", "tokens": [1], "stop": True, "model": "m",
         "tokens_predicted": 2, "tokens_evaluated": 9, "stop_type": "eos",
         "timings": {"cache_n": 4, "prompt_n": 5}}  # fmt: skip
CHAT = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "a"},
        "message": {"content": "a", "tool_calls": [{"id": "t", "function": {"name": "f"}}]},
        "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        "timings": {"cache_n": 1, "prompt_n": 2, "predicted_n": 1}}  # fmt: skip
TRITON = {"model_name": "m", "model_version": "1", "id": "i", "text_output": "a",
          "finish_reason": "stop", "num_input_tokens": 3, "num_output_tokens": 1,
          "details": {"finish_reason": "length"}, "token": {"id": 1}}  # fmt: skip
INFER = {"model_name": "m", "outputs": [{"name": "text_output", "data": ["a"]},
         {"name": "num_output_tokens", "data": [2]}]}  # fmt: skip
LAMINI = {"id": "7", "outputs": ["a"], "finish_reason": ["stop"], "status": [True], "data": ["a"]}

SAMPLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/completion", {"prompt": "x", "n_cmpl": 1}, LLAMA),
    ("/completions", {"prompt": "x"}, LLAMA),
    ("/generate", {"text": "x", "sampling_params": {"n": 1}}, {"text": "a", "meta_info": META}),
    ("/generate", {"text": "x", "consumer_group": "p"}, {"text": "a"}),
    ("/generate_stream", {"inputs": "x"}, {"index": 1, "token": {"text": "a"}}),
    ("/v2/models/m/generate_stream", {"text_input": "x"}, TRITON),
    ("/v2/models/m/infer", {"inputs": []}, INFER),
    ("/predict", {"inputs": {"stream": True}, "stream": True}, CHAT),
    ("/v1/m/predict", {"a": 1}, {"generated_text": "a"}),
    (
        "/inference/v1/generate",
        {"stream": True},
        {
            "choices": [{"index": 0, "token_ids": [1]}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        },
    ),
    ("/v3/streaming_completions", {"model_name": "m", "prompt": "x"}, LAMINI),
    ("/v1/chat/completions", {"stream": True}, CHAT),
]
TYPES = ["text/event-stream", "application/json", "application/x-ndjson", ""]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
numbers = st.sampled_from([2**31, 2**40, 2**63, -(2**70), 10**300, 1e308, -1, 0.5, True])
anything = st.recursive(
    scalars | numbers,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """`value` with anything at all in one place of it."""
    value = copy.deepcopy(value)
    inside = value
    while True:
        key = draw(
            st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside)))
        )
        if isinstance(inside[key], dict | list) and inside[key] and draw(st.booleans()):
            inside = inside[key]
            continue
        inside[key] = draw(anything)
        return value


def drive(
    path: str, asked: bytes, content_type: str, reads: list[bytes], method: str = "POST"
) -> list[Exchange]:
    """Everything that comes of one exchange."""
    kept, lines = Kept(), Lines()
    counter = TokenCounter(kept)
    context = Context(LogicalRequests(counter), Budget())
    context.keep_text = True
    transaction = Transaction(context, 1, MS)
    transaction.request_head(method, path, {})
    transaction.request_body(asked)
    transaction.request_end(2 * MS, 0)
    transaction.response_start(3 * MS)
    transaction.response_head(200, {b"content-type": content_type.encode()})
    for number, data in enumerate(reads):
        transaction.response_body(data, (4 + number) * MS)
    transaction.complete(99 * MS)
    for exchange in kept.exchanges:
        lines.finished(exchange)
        check(exchange)
    counter.settle_all()
    assert context.budget.kept == 0
    return kept.exchanges


def check(exchange: Exchange) -> None:
    """What is said can be."""
    for count in (exchange.prompt_tokens, exchange.output_tokens):
        assert count is None or (type(count) is int and count >= 0)
    for count in (exchange.cached_tokens, exchange.reasoning_tokens, exchange.tool_calls):
        assert type(count) is int
        assert count >= 0
    for text in (exchange.model, exchange.model_version, exchange.response_id, exchange.dialect):
        assert isinstance(text, str)
        assert len(text) <= 256
    assert 0 <= exchange.choices <= MAX_CHOICES
    assert all(isinstance(reason, str) for reason in reasons_of(exchange))
    assert exchange.arrivals <= exchange.events or not exchange.events
    per_token = exchange.time_per_output_token
    assert per_token is None or per_token >= 0


def as_body(content_type: str, values: list[Any]) -> list[bytes]:
    """The values as a body of that type, a read each."""
    encoded = [json.dumps(value).encode() for value in values]
    if content_type == "text/event-stream":
        return [b"data: " + one + b"\n\n" for one in encoded]
    if content_type == "application/x-ndjson":
        return [one + b"\n" for one in encoded]
    return encoded[-1:]


@pytest.mark.parametrize("content_type", TYPES)
@given(st.data())
def test_anything_in_place_of_any_field(content_type: str, data: st.DataObject) -> None:
    """Of the request, too."""
    path, asked, said = data.draw(st.sampled_from(SAMPLES))
    asked = data.draw(st.just(asked) | mutated(asked))
    events = [said, data.draw(mutated(said)), data.draw(mutated(said) | anything), said]
    drive(path, json.dumps(asked).encode(), content_type, as_body(content_type, events))


@pytest.mark.parametrize("content_type", [*TYPES, "application/grpc", "text/plain"])
@given(
    st.sampled_from([sample[0] for sample in SAMPLES]), st.binary(max_size=64),
    st.lists(st.binary(max_size=64), max_size=4),
)  # fmt: skip
def test_any_bytes(content_type: str, path: str, asked: bytes, reads: list[bytes]) -> None:
    """In both directions."""
    drive(path, asked, content_type, reads)


@pytest.mark.parametrize("path", sorted({sample[0] for sample in SAMPLES}))
@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize(
    "value", [b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b'{"text":1e999}', b"\xff", b"nul", b"{}"]
)
def test_deep_and_huge(path: str, content_type: str, value: bytes) -> None:
    """As an event and as a whole body; as the request, too."""
    reads = [b"data: " + value + b"\n\n"] if content_type == "text/event-stream" else [value]
    drive(path, value, content_type, reads)
    drive(path, b"{}", content_type, reads)


@given(st.text(max_size=40), st.binary(max_size=40))
def test_results_of_any_name(name: str, body: bytes) -> None:
    """Lamini's polls name their request in the path."""
    path = f"/v3/streaming_completions/{name}/result"
    drive(path, b"", "application/json", [body], "GET")


RESPONSE = streamed(infer_response(
    tensor("text_output", "BYTES"), tensor("num_output_tokens", "UINT32"),
    raw=[raw_text("a"), b"\1\0\0\0"],
))  # fmt: skip


@given(
    st.sampled_from(["ModelInfer", "ModelStreamInfer"]), st.integers(0, len(RESPONSE)),
    st.binary(max_size=6), st.binary(max_size=40),
)  # fmt: skip
def test_any_message(method: str, at: int, instead: bytes, other: bytes) -> None:
    """A good one that was damaged, and one that never was any."""
    damaged = RESPONSE[:at] + instead + RESPONSE[at + len(instead) :]
    check(call(method, framed(damaged), framed(other), framed(RESPONSE)))


@given(st.binary(max_size=200))
def test_protobuf_of_any_bytes(message: bytes) -> None:
    """Fields, or one kind of error; never more than there are bytes."""
    try:
        assert len(list(fields(message))) <= len(message)
    except ProtobufError:
        return


@given(st.dictionaries(st.sampled_from([b"grpc-status", b"grpc-message"]), st.binary(max_size=20)))
def test_any_trailers(trailers: dict[bytes, bytes]) -> None:
    """A status that is no number is some error."""
    status = trailers.get(b"grpc-status", b"").decode("latin-1")
    message = trailers.get(b"grpc-message", b"")
    check(call("ModelInfer", status=status, message=message))

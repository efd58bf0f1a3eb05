"""The fixtures that are written, not recorded: what each server says, read by read.

Each function is a fixture of its name and returns frames, 10 ms apart unless it says otherwise.
`hack/fixtures.py` writes the files; the words in them mean nothing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import http2_bytes as h2
from answers import raw_stream, sse
from grpc_calls import SERVICE, framed, infer_response, raw_text, streamed, tensor
from observed import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Script,
    answer,
    chunk,
    delta,
    event,
    request,
    usage,
    usage_event,
)

from sidelight_sidecar.frames import codec

FIXTURES: dict[str, Callable[[], Script]] = {}


def fixture(make: Callable[[], Script]) -> Callable[[], Script]:
    """Register a fixture under its function's name."""
    FIXTURES[make.__name__] = make
    return make


def asked(path: str, body: object) -> Script:
    """A connection on which a client has asked."""
    return Script(1).client(request(json.dumps(body).encode(), path))


def named(name: str, value: object) -> bytes:
    """An SSE event with a name, in an HTTP chunk."""
    return chunk(f"event: {name}\ndata: {json.dumps(value)}\n\n".encode())


def lines(*values: object) -> list[bytes]:
    """A stream of JSON lines, one a read."""
    encoded = [json.dumps(value).encode() + b"\n" for value in values]
    return raw_stream(*encoded, content_type="application/x-ndjson")


# --- OpenAI's API, and who speaks it ---------------------------------------------------------
@fixture
def openai_tools_and_reasoning() -> Script:
    """vLLM: reasoning, then two calls in pieces, usage at the end."""
    call = {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    other = {"index": 1, "id": "c1", "function": {"name": "g", "arguments": "{}"}}
    return asked("/v1/chat/completions", {"stream": True}).engine(
        STREAM_HEAD, delta(role="assistant", content=""), delta(reasoning="hm"),
        delta(tool_calls=[call]), delta(tool_calls=[more]), delta(tool_calls=[other]),
        delta("tool_calls"),
        usage_event(20, 12, completion_tokens_details={"reasoning_tokens": 5}), DONE + STREAM_END,
    ).close()  # fmt: skip


@fixture
def openai_two_choices() -> Script:
    """`n` = 2: one ends before the other."""
    return asked("/v1/completions", {"n": 2, "stream": True}).engine(
        STREAM_HEAD,
        *[event({"id": "cmpl-1", "model": "m", "choices": [{"index": index, "text": text}]})
          for index, text in ((0, "a"), (1, "b"), (0, "c"))],
        event({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}),
        event({"choices": [{"index": 1, "text": "", "finish_reason": "length"}]}),
        usage_event(4, 9), DONE + STREAM_END,
    ).close()  # fmt: skip


@fixture
def openai_error_in_stream() -> Script:
    """The status was 200 long before."""
    return asked("/v1/chat/completions", {"stream": True}).engine(
        STREAM_HEAD, delta(content="a"),
        event({"error": {"message": "out of memory", "type": "server_error", "code": 500}}),
        DONE + STREAM_END,
    ).close()  # fmt: skip


@fixture
def openai_cut_off() -> Script:
    """HTTP says that all came; the API's own end is missing."""
    reads = (STREAM_HEAD, delta(content="a"), delta(content="b"), STREAM_END)
    return asked("/v1/chat/completions", {"stream": True}).engine(*reads).close()


@fixture
def openai_gzip() -> Script:
    """A compressed answer, in two reads."""
    body = {"id": "c", "model": "m", "usage": usage(7, 3), "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"},
    ]}  # fmt: skip
    data = gzip.compress(json.dumps(body).encode(), mtime=0)
    head = answer(data, headers=("Content-Encoding: gzip",))
    return asked("/v1/chat/completions", {}).engine(head[:-20], head[-20:]).close()


@fixture
def openai_empty_answer() -> Script:
    """It ended well, and there is nothing in it."""
    body = {"model": "m", "choices": [{"index": 0, "message": {"content": ""},
            "finish_reason": "stop"}], "usage": usage(7, 1)}  # fmt: skip
    return asked("/v1/chat/completions", {}).engine(answer(body)).close()


@fixture
def openai_every_byte_apart() -> Script:
    """A whole stream, a byte a read: events are the same, arrivals are where they end."""
    stream = b"".join([STREAM_HEAD, delta(content="a"), delta("stop"), DONE, STREAM_END])
    script = asked("/v1/chat/completions", {"stream": True})
    return script.engine(*[stream[at : at + 1] for at in range(len(stream))], after_ms=1).close()


@fixture
def openai_client_hangs_up() -> Script:
    """Two tokens in; the engine sends a third before it notices."""
    script = asked("/v1/chat/completions", {"stream": True})
    script.engine(STREAM_HEAD, delta(content="a"), delta(content="b"))
    script.add(codec.CLIENT_EOF).engine(delta(content="c")).add(codec.ENGINE_EOF)
    return script.add(codec.CLOSED)


@fixture
def openai_gap() -> Script:
    """The relay could not keep up amid a stream; the next request is seen again."""
    script = asked("/v1/chat/completions", {"stream": True})
    script.engine(STREAM_HEAD, delta(content="a")).add(codec.GAP)
    script.engine(delta(content="c"), DONE + STREAM_END)
    script.client(request(b"{}", "/v1/chat/completions"))
    return script.engine(answer({"model": "m", "choices": [], "usage": usage(1, 1)})).close()


@fixture
def max_several_tokens_a_chunk() -> Script:
    """Modular MAX: 9 tokens in 2 chunks."""
    return asked("/v1/chat/completions", {"stream": True}).engine(
        STREAM_HEAD, delta(role="assistant", content=""), delta(content="one two"),
        delta(content=" three four five"), delta("stop"), usage_event(12, 9), DONE + STREAM_END,
    ).close()  # fmt: skip


@fixture
def hayhooks_no_end_no_usage() -> Script:
    """Haystack's Hayhooks: content beside the role, neither usage nor terminator."""
    return asked("/v1/chat/completions", {"stream": True}).engine(
        STREAM_HEAD, delta(role="assistant", content="Hel"), delta(role="assistant", content="lo"),
        delta("stop", role="assistant", content=""), STREAM_END,
    ).close()  # fmt: skip


@fixture
def responses_incomplete() -> Script:
    """OpenAI's responses: it ends for want of tokens."""
    done = {"id": "resp_1", "model": "m", "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}  # fmt: skip
    begun = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
    text = [{"type": "response.output_text.delta", "delta": piece} for piece in ("a", "b")]
    return asked("/v1/responses", {"stream": True}).engine(
        STREAM_HEAD, named("response.created", begun),
        *[named("response.output_text.delta", piece) for piece in text],
        named("response.incomplete", {"type": "response.incomplete", "response": done}), STREAM_END,
    ).close()  # fmt: skip


@fixture
def embeddings() -> Script:
    """Nothing is generated."""
    body = {"object": "list", "model": "e", "data": [{"index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4}}  # fmt: skip
    return asked("/openai/v1/embeddings", {"input": "x"}).engine(answer(body)).close()


# --- Anthropic, Ollama, TGI --------------------------------------------------------------------
@fixture
def anthropic_tool_use() -> Script:
    """Thinking, text, a call; usage is revised at the end."""
    begun = {"type": "message_start", "message": {"id": "msg_1", "model": "m",
             "usage": {"input_tokens": 9, "output_tokens": 1}}}  # fmt: skip
    deltas = [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "text_delta", "text": "a"},
        {"type": "input_json_delta", "partial_json": "{}"},
    ]
    blocks: list[bytes] = []
    for index, (kind, piece) in enumerate(
        zip(("thinking", "text", "tool_use"), deltas, strict=True)
    ):
        block = {"type": kind, **({"id": "t", "name": "f"} if kind == "tool_use" else {})}
        start = {"type": "content_block_start", "index": index, "content_block": block}
        inside = {"type": "content_block_delta", "index": index, "delta": piece}
        stop = {"type": "content_block_stop", "index": index}
        blocks += [named(str(one["type"]), one) for one in (start, inside, stop)]
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"},
             "usage": {"input_tokens": 9, "cache_read_input_tokens": 3,
                       "output_tokens": 14}}  # fmt: skip
    return asked("/v1/messages", {"stream": True}).engine(
        STREAM_HEAD, named("message_start", begun), named("ping", {"type": "ping"}), *blocks,
        named("message_delta", ended), named("message_stop", {"type": "message_stop"}), STREAM_END,
    ).close()  # fmt: skip


@fixture
def ollama_chat() -> Script:
    """JSON lines; it streams unless told not to."""
    said = [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
            for text in ("a", "b")]  # fmt: skip
    done = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True,
            "done_reason": "length", "prompt_eval_count": 8, "eval_count": 2}  # fmt: skip
    return asked("/api/chat", {"model": "m"}).engine(*lines(*said, done)).close()


@fixture
def ollama_error_line() -> Script:
    """A line says that it failed."""
    said = {"model": "m", "response": "a", "done": False}
    script = asked("/api/generate", {"model": "m"})
    return script.engine(*lines(said, {"error": "out of memory"})).close()


@fixture
def tgi_stream() -> Script:
    """One token an event, details in the last."""

    def token(number: int, text: str, **fields: object) -> dict[str, object]:
        inner = {"id": number, "text": text, "logprob": -0.5, "special": False}
        return {"index": number, "token": inner, "generated_text": None, "details": None, **fields}

    last = token(3, "c", generated_text="abc", details={
        "finish_reason": "eos_token", "generated_tokens": 3, "seed": None, "input_length": 5,
    })  # fmt: skip
    script = asked("/generate_stream", {"inputs": "x", "parameters": {"details": True}})
    return script.engine(*sse(token(1, "a"), token(2, "b"), last)).close()


# --- what other engines have of their own ------------------------------------------------------
def sglang(text: str, tokens: int, finish: object = None, **fields: object) -> dict[str, object]:
    """All that SGLang has so far."""
    meta = {"id": "r1", "finish_reason": finish, "prompt_tokens": 6, "completion_tokens": tokens,
            "cached_tokens": 5}  # fmt: skip
    return {"text": text, "meta_info": meta, **fields}


@fixture
def sglang_cumulative() -> Script:
    """Text and counts of all so far; two tokens at once in the second."""
    events = [sglang("a", 1), sglang("abc", 3), sglang("abcd", 4, {"type": "length", "length": 4})]
    script = asked("/generate", {"text": "x", "sampling_params": {}, "stream": True})
    return script.engine(*sse(*events, b"[DONE]")).close()


@fixture
def sglang_abort() -> Script:
    """One of two choices is given up."""
    events = [
        sglang("a", 1, index=0), sglang("b", 1, index=1), sglang("a", 1, {"type": "stop"}, index=0),
        sglang("b", 1, {"type": "abort", "message": "no", "status_code": 500}, index=1), b"[DONE]",
    ]  # fmt: skip
    script = asked("/generate", {"text": "x", "sampling_params": {"n": 2}, "stream": True})
    return script.engine(*sse(*events)).close()


@fixture
def vllm_tokens() -> Script:
    """Token ids of vLLM: three in two events, no usage."""

    def event_of(ids: list[int], finish: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "token_ids": ids, "finish_reason": finish}
        return {"request_id": "r1", "choices": [choice], "usage": None}

    script = asked("/inference/v1/generate", {"token_ids": [1], "stream": True})
    return script.engine(*sse(event_of([7, 8]), event_of([9], "length"), b"[DONE]")).close()


@fixture
def triton_generate_stream() -> Script:
    """Triton: no counts, no terminator."""
    events = [{"model_name": "llm", "model_version": "1", "text_output": text} for text in "ab"]
    return (
        asked("/v2/models/llm/generate_stream", {"text_input": "x"}).engine(*sse(*events)).close()
    )


@fixture
def triton_infer_binary() -> Script:
    """Tensors behind the JSON."""
    head = json.dumps({"model_name": "m", "model_version": "3", "outputs": [{"name": "y"}]})
    length = f"Inference-Header-Content-Length: {len(head)}"
    read = answer(head.encode() + b"\x00\xff", headers=(length,))
    return asked("/v2/models/m/versions/3/infer", {"inputs": []}).engine(read).close()


@fixture
def takeoff_stream() -> Script:
    """Events are the text itself."""
    script = asked("/generate_stream", {"text": "x", "consumer_group": "primary"})
    return script.engine(*sse(b"Hel", b"lo")).close()


@fixture
def fedml_pieces() -> Script:
    """Text without structure."""
    return (
        asked("/predict", {"text": "x", "stream": True}).engine(*raw_stream(b"Hel", b"lo")).close()
    )


@fixture
def qwak_exception() -> Script:
    """The error is in a header."""
    read = answer({"message": "x"}, 500, ("X-Exception-Class: java.lang.RuntimeException",))
    return asked("/v1/churn/canary/predict", [{"a": 1}]).engine(read).close()


@fixture
def lamini_polls() -> Script:
    """One request over five exchanges."""
    script = asked("/v3/streaming_completions", {"model_name": "m", "prompt": "x"})
    script.engine(answer({"id": "7"}))
    for outputs, reason in ((None, None), ([""], None), (["Hel"], None), (["Hello"], "stop")):
        body = {} if outputs is None else {"outputs": outputs, "finish_reason": [reason]}
        script.client(
            b"GET /v3/streaming_completions/7/result HTTP/1.1\r\nHost: x\r\n\r\n", after_ms=1000
        ).engine(answer(body))
    return script.close()


@fixture
def nobodys_api() -> Script:
    """No dialect: a status, times and sizes."""
    return asked("/tokenize", {"prompt": "x"}).engine(answer({"tokens": [1]})).close()


# --- HTTP/2 ------------------------------------------------------------------------------------
def grpc_call(stream: int, method: str, message: bytes) -> bytes:
    """A gRPC call of one message."""
    return h2.headers(
        stream,
        {":method": "POST", ":scheme": "http", ":path": SERVICE + method, ":authority": "x",
         "te": "trailers", "content-type": "application/grpc"},
    ) + h2.data(stream, framed(message), end=True)  # fmt: skip


def grpc_head(stream: int) -> bytes:
    """The head of gRPC's answer."""
    return h2.headers(stream, {":status": "200", "content-type": "application/grpc"})


def grpc_end(stream: int, status: str = "0") -> bytes:
    """The trailers."""
    return h2.headers(stream, {"grpc-status": status}, end=True)


def grpc_text(text: str) -> bytes:
    """One streamed response."""
    outputs = infer_response(tensor("text_output", "BYTES"), raw=[raw_text(text)])
    return framed(streamed(outputs))


@fixture
def kserve_grpc() -> Script:
    """Three calls on one connection: a stream, a unary call amid it, and one that fails."""
    script = Script(1).client(h2.PREFACE + h2.settings()).engine(h2.settings(), h2.settings_ack())
    script.client(h2.settings_ack() + grpc_call(1, "ModelStreamInfer", b""))
    script.engine(grpc_head(1), h2.data(1, grpc_text("a")))
    script.client(grpc_call(3, "ModelInfer", b""))
    tensors = infer_response(tensor("y", "FP32"), raw=[bytes(4)], model="iris", version="5")
    script.engine(grpc_head(3) + h2.data(3, framed(tensors)) + grpc_end(3))
    script.engine(h2.data(1, grpc_text("b") + grpc_text("c")), grpc_end(1))
    script.client(grpc_call(5, "ModelInfer", b""))
    failed = {":status": "200", "content-type": "application/grpc", "grpc-status": "14"}
    return script.engine(h2.headers(5, failed, end=True)).close()


@fixture
def http2_chat_reset_by_client() -> Script:
    """Two chats at once; the client resets one and reads the other to its end."""
    body = b'{"stream":true}'
    ask = {":method": "POST", ":scheme": "http", ":path": "/v1/chat/completions", ":authority": "x"}
    head = {":status": "200", "content-type": "text/event-stream"}
    script = Script(1).client(h2.PREFACE + h2.settings()).engine(h2.settings())
    for stream in (1, 3):
        script.client(h2.headers(stream, ask) + h2.data(stream, body, end=True))
        script.engine(h2.headers(stream, head) + h2.data(stream, h2.event_of(delta(content="a"))))
    script.client(h2.reset(1))
    script.engine(h2.data(3, h2.event_of(delta("stop", content="b", usage=usage(3, 2)))))
    return script.engine(h2.data(3, b"data: [DONE]\n\n", end=True)).close()

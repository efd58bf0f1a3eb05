"""How engines are asked to count tokens, and how they say that somebody waits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.observer.engine.queue import from_load, from_slots
from sidelight_sidecar.observer.engine.tokenizers import (
    FORMS,
    chat_question,
    output_question,
    prompt_of,
    text_question,
    tokens_in,
)


def test_an_output_is_asked_for_as_it_was_generated_and_a_prompt_as_the_engine_reads_it() -> None:
    """Special tokens are put before prompts alone."""
    assert [json.loads(output_question(form, "a b", "m")) for form in FORMS] == [
        {"prompt": "a b", "add_special_tokens": False, "model": "m"},
        {"content": "a b", "add_special": False, "model": "m"},
    ]
    assert [json.loads(text_question(form, "a b", "")) for form in FORMS] == [
        {"prompt": "a b"},
        {"content": "a b", "add_special": True, "parse_special": True},
    ]


def test_a_chat_is_asked_for_with_what_its_prompt_depends_on() -> None:
    """Sampling settings are no part of it; a request without messages is no chat."""
    request = {"messages": [{"role": "user"}], "tools": [{}], "temperature": 1, "max_tokens": 5}
    body = chat_question(request, "m")
    assert body is not None
    assert json.loads(body) == {"messages": [{"role": "user"}], "tools": [{}], "model": "m"}
    assert chat_question({"messages": "hi"}, "m") is None


@pytest.mark.parametrize(
    ("request_", "prompt"),
    [
        ({"prompt": "a"}, "a"),
        ({"inputs": "b"}, "b"),
        ({"prompt": ["a", "b"]}, None),
        ({"messages": []}, None),
    ],
)
def test_a_prompt_is_one_text_or_it_is_not_counted(
    request_: dict[str, object], prompt: str
) -> None:
    """Batches and token lists are left to usage."""
    assert prompt_of(request_) == prompt


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"count":3,"max_model_len":8,"tokens":[1,2,3]}', 3),
        (b'{"tokens":[1,2]}', 2),
        (b'{"tokens":[]}', 0),
        (b'{"error":"no"}', None),
        (b'{"count":-1}', None),
        (b"not json", None),
        (b"[1,2,3]", None),
    ],
)
def test_answers_say_a_count_or_nothing(body: bytes, tokens: int | None) -> None:
    """VLLM's and SGLang's count, llama.cpp's list, and what is neither."""
    assert tokens_in(body) == tokens


def test_slots_say_whether_one_more_would_wait() -> None:
    """All busy, one free, none at all."""
    busy, free = {"is_processing": True}, {"is_processing": False}
    assert from_slots(json.dumps([busy, busy]).encode()) == 1
    assert from_slots(json.dumps([busy, free]).encode()) == 0
    assert from_slots(b"[]") is None
    assert from_slots(b'{"error":"disabled"}') is None


def test_load_says_how_many_wait_on_each_rank() -> None:
    """SGLang's, one entry a data-parallel rank."""
    assert from_load(b'[{"num_waiting_reqs":1},{"num_waiting_reqs":2}]') == 3
    assert from_load(b'{"detail":"Not Found"}') is None


@given(st.binary(max_size=200))
def test_no_answer_makes_them_raise(body: bytes) -> None:
    """Whatever an engine says."""
    for read in (tokens_in, from_slots, from_load):
        for answer in (body, b'{"tokens":' + body):
            value = read(answer)
            assert value is None or isinstance(value, int | float)

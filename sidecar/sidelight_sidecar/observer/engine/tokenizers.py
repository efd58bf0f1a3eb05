"""How engines are asked to count tokens, and what their answers say.

vLLM and SGLang serve `POST /tokenize` with a `prompt`, llama.cpp with `content`. Neither path nor
name of the engine tells them apart for certain, so a form counts as the engine's own once it has
made tokens of `PROBE`: llama.cpp makes nothing of a body that has no `content`.
"""

from typing import Any, NamedTuple

import msgspec

PATH = "/tokenize"
PROBE = "hello world"


class Form(NamedTuple):
    """One way to ask."""

    name: str
    field: str
    """Where the text goes."""
    without_special: dict[str, bool]
    """Output is counted as it was generated: nothing is put before it."""


FORMS = (
    Form("prompt", "prompt", {"add_special_tokens": False}),
    Form("content", "content", {"add_special": False}),
)


class _Answer(msgspec.Struct):
    tokens: Any = None
    count: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def question(form: Form, text: str, model: str) -> bytes:
    """The body that asks for the tokens of `text`; `model` where the engine named one."""
    body: dict[str, Any] = {form.field: text, **form.without_special}
    if model:
        body["model"] = model
    return msgspec.json.encode(body)


def tokens_in(body: bytes) -> int | None:
    """The number of tokens that an answer says; None when it says none."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(answer.count) is int and answer.count >= 0:
        return answer.count
    return len(answer.tokens) if isinstance(answer.tokens, list) else None

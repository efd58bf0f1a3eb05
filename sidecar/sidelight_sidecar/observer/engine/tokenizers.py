"""How engines are asked to count tokens, and what their answers say.

vLLM and SGLang serve `POST /tokenize` with a `prompt`, llama.cpp with `content`. Neither path nor
name of the engine tells them apart for certain, so a form counts as the engine's own once it has
made tokens of `PROBE`: llama.cpp makes nothing of a body that has no `content`.
"""

from typing import Any, NamedTuple

import msgspec

from sidelight_sidecar.observer.dialects.base import count

PATH = "/tokenize"
PROBE = "hello world"


class Form(NamedTuple):
    """One way to ask."""

    name: str
    field: str
    """Where a text goes."""
    output: dict[str, bool]
    """With an output: it is counted as it was generated, so nothing is put before it."""
    prompt: dict[str, bool]
    """With a prompt: what the engine itself would put before it counts."""


FORMS = (
    Form("prompt", "prompt", {"add_special_tokens": False}, {}),
    Form(
        "content", "content", {"add_special": False}, {"add_special": True, "parse_special": True}
    ),
)
TEMPLATE_PATH = "/apply-template"
"""llama.cpp's: messages in, the prompt that it would make of them out."""
_CHAT_FIELDS = ("messages", "tools", "chat_template", "chat_template_kwargs")
"""What of a chat request the prompt depends on."""


class _Answer(msgspec.Struct):
    tokens: Any = None
    count: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def output_question(form: Form, text: str, model: str) -> bytes:
    """The body that asks for the tokens of an output; `model` where the engine named one."""
    return _body({form.field: text, **form.output}, model)


def text_question(form: Form, text: str, model: str) -> bytes:
    """The body that asks for the tokens of a prompt that is text."""
    return _body({form.field: text, **form.prompt}, model)


def chat_question(request: dict[str, Any], model: str) -> bytes | None:
    """The body that asks for the tokens (vLLM), or the text (llama.cpp), of a chat's prompt; None
    when the request has no messages, or cannot be written again.
    """
    if not isinstance(request.get("messages"), list):
        return None
    fields = {name: request[name] for name in _CHAT_FIELDS if request.get(name)}
    try:
        return _body(fields, model)
    except RecursionError:  # as deep as could just be read
        return None


def prompt_of(request: dict[str, Any]) -> str | None:
    """The prompt of a request that is text; None when it is not one text."""
    for name in ("prompt", "inputs", "text"):
        if isinstance(prompt := request.get(name), str):
            return prompt
    return None


def request_in(body: bytes) -> dict[str, Any]:
    """A request's body as an object; empty when it is none."""
    value = _json(body)
    return value if isinstance(value, dict) else {}


def prompt_in(body: bytes) -> str | None:
    """The prompt in a template's answer."""
    prompt = request_in(body).get("prompt")
    return prompt if isinstance(prompt, str) else None


def _body(fields: dict[str, Any], model: str) -> bytes:
    return msgspec.json.encode({**fields, "model": model} if model else fields)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def tokens_in(body: bytes) -> int | None:
    """The number of tokens that an answer says; None when it says none."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(answer.count, int):
        return count(answer.count)
    return len(answer.tokens) if isinstance(answer.tokens, list) else None

"""From the events of a stream to the answer that the API would have given unstreamed.

Rules:
1. The API that the exchange is known by says how; where it is not known, or serves several shapes
   (`/predict`), the first event does.
2. An event that cannot be read is left out and the answer is marked as incomplete: where a stream
   was cut, that is its last one.
3. An incomplete stream gives what there is.
4. An event that is like the one before it but for a word is merged the short way (`alike`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from sidelight_sidecar.capture.content.assemble.alike import Alike
from sidelight_sidecar.capture.content.assemble.anthropic import Anthropic
from sidelight_sidecar.capture.content.assemble.base import Assembler
from sidelight_sidecar.capture.content.assemble.engines import (
    LlamaCpp,
    Ollama,
    SGLang,
    Tgi,
    Triton,
)
from sidelight_sidecar.capture.content.assemble.forms import without_logprobs
from sidelight_sidecar.capture.content.assemble.generic import Generic, PlainText
from sidelight_sidecar.capture.content.assemble.openai import OpenAI
from sidelight_sidecar.capture.content.assemble.responses import Responses
from sidelight_sidecar.capture.content.budget import Budget
from sidelight_sidecar.capture.content.dropped import Dropped, DroppedError
from sidelight_sidecar.capture.content.events import Events, JsonLines
from sidelight_sidecar.capture.content.limits import Limits
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json, read_json

Maker = Callable[[Budget, Limits], Assembler]

_TEXT = frozenset({"takeoff"})
"""APIs whose events are text; what looks like JSON there is text too."""
_BY_DIALECT: dict[str, Maker] = {
    "openai": lambda budget, _: OpenAI(budget),
    "vllm_tokens": lambda budget, _: OpenAI(budget),
    "anthropic": Anthropic,
    "openai_responses": lambda budget, _: Responses(budget),
    "ollama": lambda budget, _: Ollama(budget),
    "tgi": lambda budget, _: Tgi(budget),
    "llamacpp": lambda budget, _: LlamaCpp(budget),
    "sglang": lambda budget, _: SGLang(budget),
    "kserve": lambda budget, _: Triton(budget),
}


@dataclass(frozen=True, slots=True)
class Assembled:
    """An answer that came as a stream.

    Attributes:
        value: the answer.
        whole: nothing of it is missing, as far as the API says.
    """

    value: Json
    whole: bool


def assemble(
    dialect: str, stream: Iterable[tuple[bytes, bytes]], limits: Limits, *, masking: bool
) -> Assembled:
    """Put the events of a stream together; each has a name and data.

    Args:
        dialect: the API.
        stream: the events.
        limits: how much is kept.
        masking: what is never passed on masked need not be put together.

    Raises:
        DroppedError: there is too much of it.
    """
    budget = Budget(limits.values)
    text = PlainText(budget)
    assembler: Assembler | None = None
    done, unread = False, 0
    ahead = stream if isinstance(stream, Events | JsonLines) else None
    alike = Alike(partial(_object, limits=limits, masking=masking), budget, ahead)
    for name, data in stream:
        if alike.take(name, data):
            continue
        if data.strip() == b"[DONE]":
            done = True
            continue
        event = None if dialect in _TEXT else _event(name, data, limits)
        if not isinstance(event, dict):
            unread += data != b"null"  # llama.cpp's, where there are several prompts
            text.said(data.decode("utf-8", "replace") if event is None else event)
            continue
        if assembler is None:
            assembler = _assembler(dialect, event, budget, limits)
        assembler.add(without_logprobs(event) if masking else event)
        alike.merged(name, data, assembler.merges)
    if assembler is None:
        if dialect in _BY_DIALECT:  # nothing was said that it could have said
            return Assembled({}, whole=False)
        return Assembled(text.whole(), whole=True)
    return Assembled(assembler.whole(), whole=not unread and (done or assembler.ended()))


def _object(name: bytes, data: bytes, *, limits: Limits, masking: bool) -> Object | None:
    """An event as it is merged; None: it is not merged, or not read."""
    try:
        event = _event(name, data, limits)
    except DroppedError:
        return None
    if not isinstance(event, dict):
        return None
    return without_logprobs(event) if masking else event


def _event(name: bytes, data: bytes, limits: Limits) -> Object | str | None:
    """An event as an object, or as the text that it is in quotes; None if it is neither."""
    try:
        value = read_json(data, limits)
    except DroppedError as error:
        if error.reason is not Dropped.NOT_JSON:
            raise
        if name == b"error":
            return {"error": data.decode("utf-8", "replace")}
        return None
    if isinstance(value, list):  # its text may be spelled in numbers: it is no plain text
        return {"event": value}
    if not isinstance(value, dict):
        return value if isinstance(value, str) else None
    return {"error": value} if name == b"error" and "error" not in value else value


def _assembler(dialect: str, first: Object, budget: Budget, limits: Limits) -> Assembler:
    maker = _BY_DIALECT.get(dialect) or _BY_DIALECT.get(_looks_like(first))
    return maker(budget, limits) if maker is not None else Generic(budget)


def _looks_like(event: Object) -> str:
    """Whose event it is, by its shape; empty if nobody's."""
    kind = event.get("type")
    if isinstance(event.get("choices"), list):
        return "openai"
    if kind == "message_start":
        return "anthropic"
    if isinstance(kind, str) and kind.startswith("response."):
        return "openai_responses"
    if "done" in event and ("message" in event or "response" in event):
        return "ollama"
    if "generated_text" in event and "token" in event:
        return "tgi"
    if "meta_info" in event:
        return "sglang"
    if "content" in event and "stop" in event:
        return "llamacpp"
    return "kserve" if "text_output" in event else ""

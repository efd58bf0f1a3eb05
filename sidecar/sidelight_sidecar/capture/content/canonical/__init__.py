"""Canonical messages (OpenTelemetry's GenAI conventions v1.41.1) of a request and its answer.

They are made of masked bodies alone, and hold nothing that is not in them. Embeddings have none:
the conventions know no messages there.
"""

from dataclasses import dataclass, field

from sidelight_sidecar.capture.content.canonical import chat, parts, prompts, responses, tools
from sidelight_sidecar.capture.content.merge import Object
from sidelight_sidecar.capture.content.read_json import Json

_WITHOUT = frozenset({"openai_embeddings"})


@dataclass(frozen=True, slots=True)
class Messages:
    """The values of four attributes, each a list, empty where there is nothing.

    Attributes:
        inputs: `gen_ai.input.messages`.
        outputs: `gen_ai.output.messages`.
        system_instructions: `gen_ai.system_instructions`; only where they come apart from the
            messages (Anthropic, Responses, Ollama's generate).
        tool_definitions: `gen_ai.tool.definitions`.
    """

    inputs: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)
    system_instructions: list[Json] = field(default_factory=list)
    tool_definitions: list[Json] = field(default_factory=list)


def messages_of(dialect: str, request: Json, answer: Json, *, truncated: bool) -> Messages:
    """The messages of masked bodies; None is a body that is not there."""
    if dialect in _WITHOUT:
        return Messages()
    asked = request if isinstance(request, dict) else {}
    return Messages(
        _inputs(dialect, asked),
        _outputs(answer, truncated=truncated),
        [
            part
            for name in ("system", "instructions")
            if asked.get(name)
            for part in parts.parts_of(asked[name])
        ],
        tools.definitions(asked),
    )


def _inputs(dialect: str, request: Object) -> list[Json]:
    if isinstance(request.get("messages"), list):
        return chat.messages(request["messages"])
    if dialect == "openai_responses":
        return responses.inputs(request.get("input"))
    return prompts.inputs(request)


def _outputs(answer: Json, *, truncated: bool) -> list[Json]:
    if not isinstance(answer, dict):
        return prompts.outputs(answer, truncated=truncated)
    choices = answer.get("choices")
    if isinstance(choices, list):
        return [_choice(one, truncated=truncated) for one in choices if isinstance(one, dict)]
    if isinstance(answer.get("message"), dict):  # Ollama's chat
        return [chat.output(answer["message"], answer.get("done_reason"), truncated=truncated)]
    if answer.get("type") == "message" and isinstance(answer.get("content"), list):
        return [chat.output(answer, answer.get("stop_reason"), truncated=truncated)]
    if answer.get("object") == "response" or _has_items(answer.get("output")):
        return responses.outputs(answer, truncated=truncated)
    return prompts.outputs(answer, truncated=truncated)


def _has_items(output: Json) -> bool:
    return isinstance(output, list) and any(
        isinstance(one, dict) and "type" in one for one in output
    )


def _choice(choice: Object, *, truncated: bool) -> Object:
    message = choice.get("message")
    said: Json = message if isinstance(message, dict) else {"content": choice.get("text")}
    return chat.output(said, choice.get("finish_reason"), truncated=truncated)

"""What of a record's masked bodies becomes attributes: messages, and how it was asked. Pure.

Rules:
1. Only what a record holds: without payloads (`Off`) there is nothing here.
2. Each attribute is JSON within a limit, whatever it held.
"""

from collections.abc import Iterator, Mapping

import msgspec

from sidelight_sidecar.capture.content.canonical import messages_of
from sidelight_sidecar.capture.content.read_json import Json
from sidelight_sidecar.capture.sinks.otlp.fit import fit
from sidelight_sidecar.capture.sinks.otlp.span import Attributes, Value, known
from sidelight_sidecar.records.record import Body, Record

INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM = "gen_ai.system_instructions"
TOOLS = "gen_ai.tool.definitions"
_PARAMETERS: tuple[tuple[str, tuple[str, ...], type], ...] = (
    (
        "gen_ai.request.max_tokens",
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
        int,
    ),
    ("gen_ai.request.temperature", ("temperature",), float),
    ("gen_ai.request.top_p", ("top_p",), float),
    ("gen_ai.request.top_k", ("top_k",), float),
    ("gen_ai.request.frequency_penalty", ("frequency_penalty",), float),
    ("gen_ai.request.presence_penalty", ("presence_penalty",), float),
    ("gen_ai.request.seed", ("seed",), int),
)
_INT64 = 1 << 63


class Bodies:
    """Those of a record, read once."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.request = _read(record.request)
        self.answer = _read(record.response)

    def messages(self, limit: int) -> dict[str, str]:
        """Four attributes of the conventions, those that there are."""
        if self.request is None and self.answer is None:
            return {}
        found = messages_of(
            self._record.api, self.request, self.answer,
            truncated=self._record.response.truncated,
        )  # fmt: skip
        values = {
            INPUT_MESSAGES: found.inputs,
            OUTPUT_MESSAGES: found.outputs,
            SYSTEM: found.system_instructions,
            TOOLS: found.tool_definitions,
        }
        return fitted({name: value for name, value in values.items() if value}, limit)


def fitted(values: Mapping[str, Json], limit: int) -> dict[str, str]:
    """Values as JSON within a limit."""
    return {name: fit(value, limit).text for name, value in values.items()}


def parameters(request: Json) -> Attributes:
    """How it was asked: what the conventions have a name for."""
    if not isinstance(request, dict):
        return {}
    options = request.get("options") or request.get("parameters") or request.get("sampling_params")
    asked = (options if isinstance(options, dict) else {}) | request
    found: dict[str, Value | None] = {
        name: _number(asked, keys, kind) for name, keys, kind in _PARAMETERS
    }
    found["gen_ai.request.model"] = _text(asked.get("model"))
    found["gen_ai.request.stop_sequences"] = list(_stops(asked.get("stop"))) or None
    found["gen_ai.output.type"] = _output_type(asked.get("response_format"))
    return known(found)


def _read(body: Body) -> Json:
    if not body.content:
        return None
    value: Json = msgspec.json.decode(body.content)
    return value


def _number(asked: dict[str, Json], keys: tuple[str, ...], kind: type) -> int | float | None:
    for key in keys:
        value = asked.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if kind is float:
            return float(value)
        return int(value) if abs(value) < _INT64 else None
    return None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _stops(value: Json) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one:
            yield one


def _output_type(value: Json) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else None
    return "json" if kind in ("json_object", "json_schema") else None

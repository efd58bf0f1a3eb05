"""What each backend wants otherwise than the conventions: a table, and a small function each. Pure.

Rules:
1. `Standard` is the conventions; what a dialect adds or leaves out has its reason beside it.
2. A size limit is the backend's own, or less; where it is not known, the smallest of those that
   are.
3. gzip is used where the backend is known to take it.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sidelight_contract.export import OtlpDialect
from sidelight_sidecar.capture.sinks.otlp.content import Bodies, fitted
from sidelight_sidecar.capture.sinks.otlp.span import (
    Attributes,
    first_token_ns,
    is_inference,
)
from sidelight_sidecar.records.record import Origin, Record

Shape = Callable[[Record, Bodies, Attributes, int], Attributes]
"""From a record and its attributes by the conventions to those that the dialect has, with a limit
for each that holds content."""


def _as_it_is(_record: Record, _bodies: Bodies, found: Attributes, _limit: int) -> Attributes:
    return found


@dataclass(frozen=True, slots=True)
class Dialect:
    """One backend's."""

    path: str = "/v1/traces"
    """Behind the endpoint."""
    authorization: Callable[[str], Mapping[str, str]] = lambda token: {
        "Authorization": f"Bearer {token}"
    }
    """How the Secret's `token` is sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent unless the sink's own say otherwise."""
    resource: Callable[[Origin, Mapping[str, str]], Mapping[str, str]] = lambda _origin, _sent: {}
    """Attributes of the resource, of where it was observed and of the headers that are sent."""
    on_spans: bool = False
    """Those are wanted on each span, too."""
    grpc: bool = False
    gzip: bool = True
    max_request_bytes: int = 1 << 20
    """Of one request, before compression."""
    shape: Shape = _as_it_is


def _key(name: str) -> Callable[[str], Mapping[str, str]]:
    return lambda token: {name: token}


def _basic(token: str) -> Mapping[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(token.encode()).decode()}


def _values(bodies: Bodies, limit: int) -> Attributes:
    """OpenInference's attributes of whole bodies."""
    found: Attributes = {}
    for side, body in (("input", bodies.request), ("output", bodies.answer)):
        if body is not None:
            found |= fitted({f"{side}.value": body}, limit)
            found[f"{side}.mime_type"] = "application/json"
    return found


def _phoenix(record: Record, bodies: Bodies, found: Attributes, limit: int) -> Attributes:
    """Phoenix makes `output.value` of the response's id and model unless there is one, and shows
    no input without `input.value`. It knows no name for the reasoning's tokens.
    """
    values = _values(bodies, limit)
    if record.tokens.reasoning is not None:
        values["llm.token_count.completion_details.reasoning"] = record.tokens.reasoning
    return found | values


def _langfuse(record: Record, _bodies: Bodies, found: Attributes, _limit: int) -> Attributes:
    """Langfuse reads when the first token came in a form of its own: a time, without quotes."""
    more: Attributes = {}
    first = first_token_ns(record)
    if first is not None:
        moment = datetime.fromtimestamp(first / 1e9, UTC)
        more["langfuse.observation.completion_start_time"] = moment.isoformat(
            timespec="milliseconds"
        ).replace("+00:00", "Z")
    if is_inference(record):
        more["langfuse.observation.type"] = "generation"
    return found | more


def _opik(_record: Record, bodies: Bodies, found: Attributes, limit: int) -> Attributes:
    """Opik takes whatever begins with `gen_ai.response` for the answer itself, but for the model;
    and shows `input...` and `output...` as what was asked and answered. The provider has its old
    name.
    """
    kept: Attributes = {}
    for name, value in found.items():
        misleads = name.startswith("gen_ai.response") and name != "gen_ai.response.model"
        kept[name.replace("gen_ai.response", "sidelight.response") if misleads else name] = value
    if "gen_ai.provider.name" in found:
        kept["gen_ai.system"] = found["gen_ai.provider.name"]
    return kept | _values(bodies, limit)


def _langsmith(record: Record, bodies: Bodies, found: Attributes, limit: int) -> Attributes:
    """LangSmith reads what was asked and answered from the conventions' old names."""
    more: Attributes = {}
    if is_inference(record):
        more["langsmith.span.kind"] = "embedding" if record.operation == "embeddings" else "llm"
    if "gen_ai.provider.name" in found:
        more["gen_ai.system"] = found["gen_ai.provider.name"]
    for name, body in (("gen_ai.prompt", bodies.request), ("gen_ai.completion", bodies.answer)):
        if body is not None:
            more |= fitted({name: body}, limit)
    return found | more


def _galileo_resource(_origin: Origin, sent: Mapping[str, str]) -> Mapping[str, str]:
    names = {"project": "galileo.project.name", "logstream": "galileo.logstream.name"}
    lower = {name.lower(): value for name, value in sent.items()}
    return {attribute: lower[name] for name, attribute in names.items() if name in lower}


def _coralogix_resource(origin: Origin, _sent: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "cx.application.name": origin.namespace or "sidelight",
        "cx.subsystem.name": origin.observed_model or "sidelight",
    }


STANDARD = Dialect(grpc=True, max_request_bytes=4 << 20)
"""4 MiB: what a collector takes in one gRPC message."""
DIALECTS: Mapping[OtlpDialect, Dialect] = {
    OtlpDialect.STANDARD: STANDARD,
    OtlpDialect.PHOENIX: replace(STANDARD, shape=_phoenix),
    OtlpDialect.MLFLOW: Dialect(
        headers={"x-mlflow-experiment-id": "0"},  # it has to be there; 0 is `Default`
        max_request_bytes=4 << 20,
    ),
    OtlpDialect.LANGFUSE: Dialect(
        path="/api/public/otel/v1/traces",
        authorization=_basic,
        headers={"x-langfuse-ingestion-version": "4"},
        shape=_langfuse,
    ),
    OtlpDialect.OPIK: Dialect(
        path="/api/v1/private/otel/v1/traces",
        authorization=_key("Authorization"),
        gzip=False,
        shape=_opik,
    ),
    OtlpDialect.WEAVE: Dialect(
        path="/otel/v1/traces", authorization=_key("wandb-api-key"), max_request_bytes=4 << 20
    ),
    OtlpDialect.GALILEO: Dialect(
        path="/otel/traces",
        authorization=_key("Galileo-API-Key"),
        resource=_galileo_resource,
        on_spans=True,
        gzip=False,
    ),
    OtlpDialect.DATADOG: Dialect(
        authorization=_key("dd-api-key"), headers={"dd-otlp-source": "llmobs"}, gzip=False
    ),
    OtlpDialect.LANGSMITH: Dialect(
        path="/otel/v1/traces", authorization=_key("x-api-key"), gzip=False, shape=_langsmith
    ),
    OtlpDialect.CORALOGIX: replace(STANDARD, resource=_coralogix_resource),
}

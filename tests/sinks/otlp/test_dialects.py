"""What each backend gets: path, headers, encoding, attributes. What is asserted here is what the
backends' documentation or source says that they read; Phoenix and MLflow were tried for real
(docs/otlp.md).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from otlp_sinks import posted_by
from receiver import ANSWER, REQUEST, chat, off

from sidelight_contract.export import OVER_GRPC, OtlpDialect, OtlpSinkSettings
from sidelight_sidecar.capture.sinks.otlp.dialects import DIALECTS
from sidelight_sidecar.capture.sinks.otlp.http import address_of

TTFT = "gen_ai.response.time_to_first_chunk"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """With a token."""
    (tmp_path / "token").write_text("pk:sk\n")
    return tmp_path


def test_every_dialect_is_in_the_table():
    """And no other."""
    assert set(DIALECTS) == set(OtlpDialect)


def test_the_resources_rule_for_grpc_is_the_tables():
    """The API server refuses what the sink would."""
    assert {one for one, table in DIALECTS.items() if table.grpc} == set(OVER_GRPC)


@pytest.mark.parametrize(
    ("dialect", "path", "header", "value", "gzip"),
    [
        ("Standard", "/v1/traces", "Authorization", "Bearer pk:sk", True),
        ("Phoenix", "/v1/traces", "Authorization", "Bearer pk:sk", True),
        ("MLflow", "/v1/traces", "Authorization", "Bearer pk:sk", True),
        ("Langfuse", "/api/public/otel/v1/traces", "Authorization", "Basic cGs6c2s=", True),
        ("Opik", "/api/v1/private/otel/v1/traces", "Authorization", "pk:sk", False),
        ("Weave", "/otel/v1/traces", "wandb-api-key", "pk:sk", True),
        ("Galileo", "/otel/traces", "Galileo-API-Key", "pk:sk", False),
        ("Datadog", "/v1/traces", "dd-api-key", "pk:sk", False),
        ("LangSmith", "/otel/v1/traces", "x-api-key", "pk:sk", False),
        ("Coralogix", "/v1/traces", "Authorization", "Bearer pk:sk", True),
    ],
)
async def test_each_is_asked_at_its_path_with_its_header_in_protobuf(
    secrets: Path, dialect: str, path: str, header: str, value: str, gzip: bool
):
    """JSON is refused by some (415); the token has one header, its own."""
    posted, _, _ = await posted_by(OtlpDialect(dialect), chat(), secrets)
    assert posted.path == path
    assert posted.headers["Content-Type"] == "application/x-protobuf"
    assert posted.headers[header] == value
    assert (posted.headers.get("Content-Encoding") == "gzip") is gzip
    assert sum("pk:sk" in v or "cGs6c2s=" in v for v in posted.headers.values()) == 1


@pytest.mark.parametrize("dialect", list(OtlpDialect))
async def test_all_have_the_conventions_that_backends_agree_on(secrets: Path, dialect: OtlpDialect):
    """Model, tokens as integers, operation, and the messages."""
    _, found, resource = await posted_by(dialect, chat(), secrets)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "llama"
    usage = {name: value for name, value in found.items() if name.startswith("gen_ai.usage.")}
    assert usage["gen_ai.usage.input_tokens"] == 12
    assert usage["gen_ai.usage.output_tokens"] == 46
    assert {type(value) for value in usage.values()} == {int}
    assert json.loads(found["gen_ai.output.messages"])[0]["parts"][0]["content"] == "It is sent."
    assert resource["service.name"] == "chat"
    assert resource["k8s.namespace.name"] == "ml"


@pytest.mark.parametrize("dialect", list(OtlpDialect))
async def test_none_has_a_word_of_a_payload_without_payloads(secrets: Path, dialect: OtlpDialect):
    """Whatever attributes it has of its own."""
    posted, found, _ = await posted_by(dialect, off(), secrets)
    content = [n for n, v in found.items() if isinstance(v, str) and v[:1] in ("[", "{", '"')]
    assert content == []
    assert b"EMAIL" not in posted.data


async def test_phoenix_gets_whole_bodies_since_it_makes_none_of_messages(secrets: Path):
    """Or `input.value` is empty, and `output.value` the response's id."""
    _, found, _ = await posted_by(OtlpDialect.PHOENIX, chat(), secrets)
    assert json.loads(found["input.value"]) == REQUEST
    assert json.loads(found["output.value"]) == ANSWER
    assert found["input.mime_type"] == found["output.mime_type"] == "application/json"
    assert found["llm.token_count.completion_details.reasoning"] == 6


async def test_phoenix_project_is_an_attribute_of_the_resource(secrets: Path):
    """The user's own."""
    _, _, resource = await posted_by(
        OtlpDialect.PHOENIX, chat(), secrets, resource={"openinference.project.name": "prod"}
    )
    assert resource["openinference.project.name"] == "prod"


async def test_mlflow_has_an_experiment_always(secrets: Path):
    """Without the header it refuses (422); the default experiment is 0."""
    posted, _, _ = await posted_by(OtlpDialect.MLFLOW, chat(), secrets)
    assert posted.headers["x-mlflow-experiment-id"] == "0"
    posted, _, _ = await posted_by(
        OtlpDialect.MLFLOW, chat(), secrets, headers={"X-MLflow-Experiment-Id": "7"}
    )
    assert posted.headers.getall("x-mlflow-experiment-id") == ["7"]  # type: ignore[attr-defined]


async def test_langfuse_reads_the_first_token_as_a_time_without_quotes(secrets: Path):
    """It drops the conventions' attribute."""
    posted, found, _ = await posted_by(OtlpDialect.LANGFUSE, chat(), secrets)
    name = "langfuse.observation.completion_start_time"
    assert found[name] == "2025-11-24T16:00:00.373Z"
    assert found["langfuse.observation.type"] == "generation"
    assert posted.headers["x-langfuse-ingestion-version"] == "4"
    whole = off(times=chat().times.__class__(1, 0.5))
    _, found, _ = await posted_by(OtlpDialect.LANGFUSE, whole, secrets)
    assert name not in found


async def test_opik_gets_nothing_that_it_would_take_for_the_answer(secrets: Path):
    """To it whatever begins with `gen_ai.response` is the output, but for the model."""
    _, found, _ = await posted_by(OtlpDialect.OPIK, chat(), secrets)
    assert [n for n in found if n.startswith("gen_ai.response")] == ["gen_ai.response.model"]
    assert found["sidelight.response.time_to_first_chunk"] == 0.25
    assert found["sidelight.response.id"] == "c-1"
    assert found["gen_ai.system"] == "vllm"
    assert json.loads(found["output.value"]) == ANSWER


async def test_opik_has_no_words_of_ours_where_it_shows_what_was_asked(secrets: Path):
    """`input...` and `output...` are content to it."""
    _, found, _ = await posted_by(OtlpDialect.OPIK, off(), secrets)
    assert [name for name in found if name.startswith(("input", "output"))] == []


async def test_weave_is_routed_by_the_resource(secrets: Path):
    """Entity and project are the user's."""
    own = {"wandb.entity": "team", "wandb.project": "chat"}
    _, _, resource = await posted_by(OtlpDialect.WEAVE, chat(), secrets, resource=own)
    assert own.items() <= resource.items()


async def test_galileo_has_project_and_log_stream_everywhere(secrets: Path):
    """Header, resource and span."""
    own = {"project": "chat", "logstream": "prod"}
    posted, found, resource = await posted_by(OtlpDialect.GALILEO, chat(), secrets, headers=own)
    named = {"galileo.project.name": "chat", "galileo.logstream.name": "prod"}
    assert posted.headers["project"] == "chat"
    assert named.items() <= resource.items()
    assert named.items() <= found.items()


async def test_datadog_is_told_that_it_is_llm_observability(secrets: Path):
    """By a header."""
    posted, found, _ = await posted_by(OtlpDialect.DATADOG, chat(), secrets)
    assert posted.headers["dd-otlp-source"] == "llmobs"
    assert found[TTFT] == 0.25


async def test_langsmith_reads_the_old_names(secrets: Path):
    """A run's type, provider, and what was asked and answered."""
    posted, found, _ = await posted_by(
        OtlpDialect.LANGSMITH, chat(), secrets, headers={"Langsmith-Project": "chat"}
    )
    assert posted.headers["Langsmith-Project"] == "chat"
    assert found["langsmith.span.kind"] == "llm"
    assert found["gen_ai.system"] == "vllm"
    assert json.loads(found["gen_ai.prompt"]) == REQUEST
    assert json.loads(found["gen_ai.completion"]) == ANSWER
    embedded = off(operation="embeddings", api="openai_embeddings")
    _, found, _ = await posted_by(OtlpDialect.LANGSMITH, embedded, secrets)
    assert found["langsmith.span.kind"] == "embedding"


async def test_coralogix_has_an_application_and_a_subsystem(secrets: Path):
    """By default where it was observed; the user's own win."""
    _, _, resource = await posted_by(OtlpDialect.CORALOGIX, chat(), secrets)
    assert resource["cx.application.name"] == "ml"
    assert resource["cx.subsystem.name"] == "chat"
    _, _, resource = await posted_by(
        OtlpDialect.CORALOGIX, chat(), secrets, resource={"cx.application.name": "prod"}
    )
    assert resource["cx.application.name"] == "prod"


@pytest.mark.parametrize(
    ("dialect", "kept"),
    [(one, one != OtlpDialect.OPIK) for one in OtlpDialect],
)
async def test_time_to_first_token_is_where_it_misleads_nobody(
    secrets: Path, dialect: OtlpDialect, kept: bool
):
    """The conventions' attribute, unless the backend takes it for something else."""
    _, found, _ = await posted_by(dialect, off(), secrets)
    assert (found.get(TTFT) == 0.25) is kept


@pytest.mark.parametrize("dialect", list(OtlpDialect))
def test_a_span_with_all_the_content_there_can_be_fits_into_a_request(dialect: OtlpDialect):
    """Of the backend's size: eight attributes at the limit, and the rest."""
    table = DIALECTS[dialect]
    most = OtlpSinkSettings(name="a", endpoint="b").max_content_bytes
    assert min(most, table.max_request_bytes // 8) * 6 + (64 << 10) < table.max_request_bytes


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://c:4318", "http://c:4318/otel/v1/traces"),
        ("http://c:4318/", "http://c:4318/otel/v1/traces"),
        ("https://w.ai/traces/otel/v1/traces", "https://w.ai/traces/otel/v1/traces"),
        ("https://w.ai/agents/otel/v1/traces/", "https://w.ai/agents/otel/v1/traces"),
        ("https://h/api/v1", "https://h/api/v1/otel/v1/traces"),
    ],
)
def test_an_endpoint_may_be_whole_already(endpoint: str, address: str):
    """As backends' own pages show it."""
    assert address_of(endpoint, "/otel/v1/traces") == address


def test_the_token_of_langfuse_is_basic_authorization() -> None:
    """Its two keys with a colon between them."""
    made: Any = DIALECTS[OtlpDialect.LANGFUSE].authorization("pk:sk")
    assert base64.b64decode(made["Authorization"].removeprefix("Basic ")) == b"pk:sk"

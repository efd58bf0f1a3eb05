"""`spec.capture` and `spec.export`: which requests become records, and where these go."""

from typing import Annotated

from pydantic import ConfigDict, Field

from sidelight_contract.capture import (
    DETECTORS,
    MAX_PATTERN_CHARACTERS,
    MAX_PER_MINUTE,
    PATTERN_NAME,
    Part,
    Payloads,
)
from sidelight_contract.export import (
    MAX_SINKS,
    METRICS_DIALECTS,
    OVER_GRPC,
    OtlpDialect,
    OtlpProtocol,
)
from sidelight_contract.names import ENGINE_SPANS_PORT
from sidelight_contract.resource import Resource, cel

_DURATION = "^(([0-9]{1,6}([.][0-9]{1,6})?)(us|ms|s|m|h)){0,3}$"
_SECRET = "^sidelight-[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"  # noqa: S105 - a name's pattern
KINDS = ("file", "objectStore", "kafka", "cloudEvents", "otlp")


class Keep(Resource):
    """Which requests become records, by how they ended."""

    errors: bool = Field(
        default=True,
        description="Those that failed, whosever fault. Default true: they are looked for first.",
    )
    abandoned: bool = Field(
        default=True, description="Those whose client left first. Default true, as for errors."
    )
    truncated: bool = Field(
        default=False,
        description="Those whose answer ended at a limit of length. Default false: with some "
        "prompts that is most.",
    )
    slowest: bool = Field(
        default=True,
        description="Those slower than 99 of 100 of their kind lately. Default true.",
    )
    slower_than: str = Field(
        default="",
        max_length=32,
        pattern=_DURATION,
        description="Those that took longer than this, such as `10s`. Empty (default): what is "
        "slow depends on the model.",
    )
    share: str = Field(
        default="1",
        pattern="^(0|1|0[.][0-9]{1,6})$",
        description="Share of all others, such as `0.01`; by a hash of the request's id, so the "
        "same request is kept by every pod or by none. Default 1: `perMinute` bounds them.",
    )
    per_minute: int = Field(
        default=600,
        ge=2,
        le=MAX_PER_MINUTE,
        description="Records a minute and pod: half for what is kept for its outcome, half for the "
        "share. Of more, fewer are kept, and each record's `probability` says so. Default 600: "
        "with payloads of 10 kB that is 100 kB/s.",
    )


class OwnPattern(Resource):
    """A pattern of your own."""

    name: str = Field(
        max_length=32,
        pattern=PATTERN_NAME,
        description="What stands in its place, in brackets: `[NAME]`.",
    )
    pattern: str = Field(
        min_length=1,
        max_length=MAX_PATTERN_CHARACTERS,
        description="In RE2's syntax, which takes linear time.",
    )


class Redaction(Resource):
    """What is masked in payloads, and what is left out of them."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                # A default is held to the rules as it stands, without what it leaves to its own.
                f"!has(self.without) || self.without.all(name, name in {list(DETECTORS)})",
                "redaction.without names a detector that there is not; docs/redaction.md lists all",
            )
        )
    )

    without: list[Annotated[str, Field(max_length=32)]] = Field(
        default_factory=list,
        max_length=len(DETECTORS),
        description="Built-in detectors that are not used, by name (docs/redaction.md). Default "
        "none: all are.",
    )
    patterns: list[OwnPattern] = Field(
        default_factory=list, max_length=32, description="Patterns of your own. Default none."
    )
    drop: list[Part] = Field(
        default_factory=list,
        max_length=len(Part),
        description="Parts that are left out, masked or not. Default none; media that are inlined "
        "are never passed on as they are when redacted.",
    )
    first_characters: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Of each text so many characters are kept. Default 0: all.",
    )


class Capture(Resource):
    """Which requests become records, and what of their payload."""

    payloads: Payloads = Field(
        default=Payloads.OFF,
        description="Off (default): metadata alone. Redacted: prompts and answers, masked before "
        "they leave the sidecar's memory. Full: as they passed; this needs the chart's value "
        "capture.allowFull, else Redacted is in force and the condition Captured says so.",
    )
    keep: Keep = Field(
        default_factory=Keep, description="Which requests become records, by how they ended."
    )
    redaction: Redaction = Field(
        default_factory=Redaction, description="What is masked and left out."
    )
    max_body_bytes: int = Field(
        default=256 << 10,
        ge=1024,
        le=8 << 20,
        description="Of a request, and of an answer; what is longer is cut. Default 262144: a "
        "prompt of some 60,000 tokens.",
    )


class SecretRef(Resource):
    """A Secret of the pods' namespace."""

    name: str = Field(
        max_length=253,
        pattern=_SECRET,
        description="Its name, which must begin with `sidelight-`: whoever may write "
        "ObservedModels can have no other Secret sent anywhere.",
    )


class FileSink(Resource):
    """JSON lines in zstd files, on an emptyDir of the pod."""

    max_file_bytes: int = Field(
        default=64 << 20, ge=1 << 16, le=1 << 34,
        description="A file is ended once it is this large. Default 67108864.",
    )  # fmt: skip
    max_file_age: str = Field(
        default="10m", pattern=_DURATION, max_length=32, min_length=1,
        description="And once it is this old. Default 10m.",
    )  # fmt: skip
    max_bytes: int = Field(
        default=1 << 30, ge=1 << 20, le=1 << 40,
        description="All files of a pod together; the oldest go first. Default 1073741824.",
    )  # fmt: skip


class ObjectStoreSink(Resource):
    """Objects of JSON lines in zstd, by namespace, model, version and hour (docs/sinks.md)."""

    url: str = Field(
        max_length=2048,
        pattern="^(s3|gs|az)://[^/?#]+[^?#]*$",
        description="`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.",
    )
    endpoint: str = Field(
        default="", max_length=2048, pattern="^(https?://.+)?$",
        description="Of a store that is not the provider's own; without TLS only where it begins "
        "with `http://`. Empty (default): the provider's.",
    )  # fmt: skip
    region: str = Field(
        default="", max_length=64, description="The bucket's region. Empty (default): the store's."
    )
    max_object_bytes: int = Field(
        default=16 << 20, ge=1 << 16, le=32 << 20,
        description="An object is written once so much waits, or half of what the spool takes. "
        "Default 16777216, before compression.",
    )  # fmt: skip
    max_object_age: str = Field(
        default="1m", pattern=_DURATION, max_length=32, min_length=1,
        description="Or once the oldest record has waited so long. Default 1m.",
    )  # fmt: skip


class KafkaSink(Resource):
    """One message a record; its key is the request's id."""

    brokers: list[Annotated[str, Field(max_length=261, pattern=r"^\S+:[0-9]{1,5}$")]] = Field(
        min_length=1, max_length=16, description="`host:port`, each."
    )
    topic: str = Field(pattern="^[a-zA-Z0-9._-]{1,249}$", description="It must be there already.")
    tls: bool = Field(
        default=False,
        description="Speak TLS; a CA of your own is the Secret's `ca.crt`. Default false.",
    )
    sasl: str = Field(
        default="",
        pattern="^(|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$",
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with the Secret's `username` and "
        "`password`. Empty (default): none.",
    )


class CloudEventsSink(Resource):
    """Two events a record, as KServe's logger posts them."""

    url: str = Field(
        max_length=2048, pattern="^https?://.+$", description="Where events are posted to."
    )
    inference_service: str = Field(
        default="",
        max_length=253,
        description="What events call the InferenceService. Empty (default): the ObservedModel's "
        "name.",
    )
    component: str = Field(
        default="predictor",
        max_length=63,
        description="What events call the component. Default predictor.",
    )
    endpoint: str = Field(
        default="",
        max_length=63,
        description="`default` or `canary`, where whoever takes the events tells them by it. Empty "
        "(default): as KServe has it for a service without a canary.",
    )


class OtlpSink(Resource):
    """A span a record, by OpenTelemetry's conventions for generative AI (docs/otlp.md)."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.protocol) || self.protocol != 'grpc' || self.dialect in "
                f"[{', '.join(repr(one.value) for one in OVER_GRPC)}]",
                f"grpc is taken by {', '.join(OVER_GRPC)} alone",
            ),
            (
                "!has(self.metrics) || !self.metrics || self.dialect in "
                f"[{', '.join(repr(one.value) for one in METRICS_DIALECTS)}]",
                f"metrics are taken by {', '.join(METRICS_DIALECTS)} alone",
            ),
            (
                "!has(self.records) || self.records || (has(self.metrics) && self.metrics) || "
                "(has(self.engineSpans) && self.engineSpans)",
                "without records it must be asked for metrics or for engineSpans",
            ),
        )
    )

    endpoint: str = Field(
        max_length=2048,
        pattern="^https?://.+$",
        description="A base address, such as `http://collector.monitoring:4318`; the dialect adds "
        "its path, unless this one ends as `/traces`. For grpc without a path.",
    )
    protocol: OtlpProtocol = Field(
        default=OtlpProtocol.HTTP, description="http/protobuf (default) or grpc."
    )
    dialect: OtlpDialect = Field(
        default=OtlpDialect.STANDARD,
        description="For whom spans are written. Default Standard: the conventions as they are.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=32,
        description="Headers that are no secret, such as a project's name. Of the Secret, `token` "
        "is sent as the dialect says, and each other key is a header. Default none.",
    )
    resource: dict[str, str] = Field(
        default_factory=dict,
        max_length=32,
        description="Attributes of the resource, beside those of the pod. Default none.",
    )
    max_content_bytes: int = Field(
        default=64 << 10,
        ge=1024,
        le=1 << 20,
        description="Of each attribute that holds content; what is longer is cut so that it stays "
        "JSON. Default 65536: many backends refuse a span of 1 MB, and some have content twice.",
    )
    records: bool = Field(
        default=True,
        description="Send a span for each record. Default true; false for a backend that takes "
        "metrics alone, such as Prometheus' own receiver.",
    )
    metrics: bool = Field(
        default=False,
        description="Send the sidecar's metrics there, too: all of `/metrics`, and "
        "`gen_ai.server.*` of the conventions. Default false: Prometheus has them.",
    )
    metrics_interval: str = Field(
        default="30s", pattern=_DURATION, max_length=32, min_length=1,
        description="How often. Default 30s: ten points for an alert over five minutes.",
    )  # fmt: skip
    engine_spans: bool = Field(
        default=False,
        description="Pass the engine's own spans on, too: it is to send them to "
        f"`http://127.0.0.1:{ENGINE_SPANS_PORT}/v1/traces`, as OTLP over gRPC or HTTP in protobuf. "
        "Default false: then nothing listens there.",
    )


class Sink(Resource):
    """One place where records go."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}].filter(x, x).size() == 1",
                f"a sink must be exactly one of {', '.join(KINDS)}",
            )
        )
    )

    name: str = Field(
        max_length=32,
        pattern="^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$",
        description="What metrics, status and the spool call it.",
    )
    secret_ref: SecretRef | None = Field(
        default=None,
        description="Its credentials (docs/sinks.md lists the keys); read again when they change. "
        "Pods get it when they are created. Absent (default): none.",
    )
    file: FileSink | None = Field(
        default=None,
        description="JSON lines in zstd files, on an emptyDir of the pod.",
    )
    object_store: ObjectStoreSink | None = Field(
        default=None, description="Objects in S3, Google Cloud Storage or Azure."
    )
    kafka: KafkaSink | None = Field(default=None, description="A topic of Kafka.")
    cloud_events: CloudEventsSink | None = Field(
        default=None, description="Events as KServe's logger posts them."
    )
    otlp: OtlpSink | None = Field(default=None, description="Spans of OpenTelemetry.")


class Spool(Resource):
    """Where records wait for sinks; the oldest go first when it is full."""

    memory_bytes: int = Field(
        default=32 << 20, ge=1 << 20, le=64 << 20,
        description="Where there is no disk. Default 33554432: a minute of 500 kB/s.",
    )  # fmt: skip
    disk_bytes: int = Field(
        default=0, ge=0, le=1 << 40,
        description="On an emptyDir of the pod, which outlives the sidecar's restarts. Default 0: "
        "records wait in memory.",
    )  # fmt: skip
    max_age: str = Field(
        default="24h", pattern=_DURATION, max_length=32, min_length=1,
        description="How long a record may wait. Default 24h.",
    )  # fmt: skip


class Export(Resource):
    """Where records go."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.sinks) || "
                "self.sinks.all(one, self.sinks.filter(other, other.name == one.name).size() == 1)",
                "export.sinks has two of one name",
            )
        )
    )

    sinks: list[Sink] = Field(
        default_factory=list,
        max_length=MAX_SINKS,
        description="Every record goes to each. Default none: then there are no records.",
    )
    spool: Spool = Field(default_factory=Spool, description="Where records wait for sinks.")

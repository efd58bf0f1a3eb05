"""Where records are shipped to: the sinks of an ObservedModel, as the sidecar's configuration has
them.

Rules:
1. No secret is in it. A sink that needs one names a Secret in `spec.export`; its keys are files in
   a folder of the sink's name (`SECRETS_DIRECTORY`), read again when they change.
2. Every sink has a name: metrics, the spool and the status know it by that.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

SECRETS_DIRECTORY = "/etc/sidelight/secrets"
"""Of the sidecar's container; below it a folder for each sink that has a Secret."""
SPOOL_DIRECTORY = "/var/lib/sidelight/spool"
FILES_DIRECTORY = "/var/lib/sidelight/records"
MAX_SINKS = 8

Name = Annotated[str, msgspec.Meta(pattern="^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$")]
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Words = Annotated[dict[str, str], msgspec.Meta(max_length=32)]


class _Sink(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True
):
    """What all sinks have."""

    name: Name


class FileSinkSettings(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """JSON lines in zstd files, on a volume of the pod."""

    max_file_bytes: Annotated[int, msgspec.Meta(ge=1 << 16, le=1 << 34)] = 64 << 20
    """A file is ended once it is this large. Default 64 MiB."""
    max_file_seconds: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """And once it is this old. Default 10 minutes."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1 << 20)] = 1 << 30
    """All files together; the oldest go first. Default 1 GiB."""


class ObjectStoreSinkSettings(
    _Sink, frozen=True, kw_only=True, tag_field="kind", tag="objectStore"
):
    """Objects of JSON lines in zstd, by namespace, model, version and hour."""

    url: Annotated[
        str, msgspec.Meta(pattern="^((s3|gs|az)://[^/?#]+|file:///)[^?#]*$", max_length=2048)
    ]
    """`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `file:///FOLDER`."""
    endpoint: Annotated[str, msgspec.Meta(pattern="^(|https?://.+)$", max_length=2048)] = ""
    """Of a store that is not the provider's own, such as `https://minio.storage:9000`; without TLS
    only where it begins with `http://`."""
    region: str = ""
    """Of S3. Default us-east-1."""
    max_object_bytes: Annotated[int, msgspec.Meta(ge=1 << 16, le=32 << 20)] = 16 << 20
    """An object is written once so much waits, or half of what the spool takes, if that is less.
    Default 16 MiB, before compression; at most 32: it is in memory while it is sent."""
    max_object_seconds: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Or once the oldest record has waited so long. Default 60."""


class KafkaSinkSettings(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="kafka"):
    """One message a record; its key is the request's id."""

    brokers: Annotated[list[Address], msgspec.Meta(min_length=1, max_length=16)]
    """`host:port`, each."""
    topic: Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9._-]{1,249}$")]
    tls: bool = False
    """Default false. The Secret's `ca.crt` is trusted instead of the system's authorities."""
    sasl: Annotated[str, msgspec.Meta(pattern="^(|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")] = ""
    """Mechanism; `username` and `password` are in the Secret. Default none."""


class CloudEventsSinkSettings(
    _Sink, frozen=True, kw_only=True, tag_field="kind", tag="cloudEvents"
):
    """Two events a record, as KServe's logger posts them."""

    url: Address
    inference_service: Annotated[str, msgspec.Meta(max_length=253)] = ""
    """What the events call the InferenceService. Default: the ObservedModel's name."""
    component: Annotated[str, msgspec.Meta(max_length=63)] = "predictor"
    endpoint: Annotated[str, msgspec.Meta(max_length=63)] = ""
    """`default` or `canary` where whoever takes the events tells them by it. Default empty, as
    KServe's is for a service without a canary."""


class OtlpProtocol(StrEnum):
    """How OTLP is spoken."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class OtlpDialect(StrEnum):
    """For whom spans are written; docs/otlp.md says what differs."""

    STANDARD = "Standard"
    """The GenAI conventions, as they are."""
    PHOENIX = "Phoenix"
    MLFLOW = "MLflow"
    LANGFUSE = "Langfuse"
    OPIK = "Opik"
    WEAVE = "Weave"
    GALILEO = "Galileo"
    DATADOG = "Datadog"
    LANGSMITH = "LangSmith"
    CORALOGIX = "Coralogix"


METRICS_DIALECTS = (OtlpDialect.STANDARD, OtlpDialect.CORALOGIX)
"""Whose backends take metrics as they are: the others take spans alone, and Datadog's own intake
takes differences only, so a collector is to stand before it."""
METRICS_SECONDS = 30.0
"""How often metrics are sent. Default 30: ten points for an alert over five minutes, at half of
what Prometheus' scrapes cost; OpenTelemetry's own libraries send every 60."""


OVER_GRPC = (OtlpDialect.STANDARD, OtlpDialect.PHOENIX, OtlpDialect.CORALOGIX)
"""Whom spans can be sent to by gRPC; the others take HTTP alone."""


class OtlpSinkSettings(_Sink, frozen=True, kw_only=True, tag_field="kind", tag="otlp"):
    """A span a record, by OpenTelemetry's conventions for generative AI."""

    endpoint: Address
    """A base address, such as `http://collector.monitoring:4318`; the dialect knows the path,
    unless this one ends as `/traces`. For gRPC without a path: `http://collector:4317`."""
    protocol: OtlpProtocol = OtlpProtocol.HTTP
    dialect: OtlpDialect = OtlpDialect.STANDARD
    headers: Words = {}
    """That are no secret, such as a project's name. Of the Secret, `token` is sent as the dialect
    says, and each other key is a header."""
    resource: Words = {}
    """Attributes of the resource, beside those of the pod."""
    max_content_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] = 64 << 10
    """Of each attribute that holds content; what is longer is cut so that it stays JSON. Default
    64 KiB: many backends refuse a span of 1 MB, and some have content twice."""
    records: bool = True
    """Send a span for each record. False: for a backend that takes metrics alone."""
    metrics: bool = False
    """Send the sidecar's metrics, too. Default false: Prometheus has them."""
    metrics_seconds: Annotated[float, msgspec.Meta(gt=0)] = METRICS_SECONDS
    """How often."""
    engine_spans: bool = False
    """Pass the engine's own spans on, too. Default false: it is to be told to send them here."""

    @property
    def sends_metrics(self) -> bool:
        """Whether metrics are sent: they are wanted, and the backend takes them."""
        return self.metrics and self.dialect in METRICS_DIALECTS


SinkSettings = (
    FileSinkSettings
    | ObjectStoreSinkSettings
    | KafkaSinkSettings
    | CloudEventsSinkSettings
    | OtlpSinkSettings
)


class SpoolSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Where records wait for sinks (`spec.export.spool`)."""

    memory_bytes: Annotated[int, msgspec.Meta(ge=1 << 20, le=64 << 20)] = 32 << 20
    """Where there is no disk. Default 32 MiB: a minute of 500 kB/s, within the sidecar's limit."""
    disk_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)] = 0
    """On the spool's volume. Default 0: there is none, records wait in memory."""
    age_seconds: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0
    """How long a record may wait. Default a day."""


class ExportSettings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """All of `spec.export`."""

    sinks: Annotated[list[SinkSettings], msgspec.Meta(max_length=MAX_SINKS)] = []
    spool: SpoolSettings = SpoolSettings()


def metrics_seconds(export: ExportSettings) -> float | None:
    """How often sinks want metrics; None: none wants them."""
    wanted = [
        sink.metrics_seconds
        for sink in export.sinks
        if isinstance(sink, OtlpSinkSettings) and sink.sends_metrics
    ]
    return min(wanted, default=None)

"""From `spec.capture` and `spec.export` to what sidecars are told, and the conditions Captured and
Exported. Pure.
"""

from collections.abc import Callable, Iterable

from sidelight_contract import export as wire
from sidelight_contract import spec_capture as spec
from sidelight_contract.capture import (
    CaptureSettings,
    KeepSettings,
    Pattern,
    Payloads,
    RedactionSettings,
)
from sidelight_contract.durations import parse_duration
from sidelight_contract.names import ENGINE_SPANS_PORT, ConditionType, Reason
from sidelight_contract.summary import CaptureReport, SinkReport, Summary
from sidelight_operator.controller.judged import Judged
from sidelight_operator.controller.models import Model

_MAX_SINKS_NAMED = 4
_LEAST_AGE_SECONDS = 1.0


def payloads_of(model: Model, *, allow_full: bool) -> Payloads:
    """The mode in force: Full only where the installation allows it."""
    assert model.spec is not None
    asked = model.spec.capture.payloads
    return Payloads.REDACTED if asked is Payloads.FULL and not allow_full else asked


def capture_settings(model: Model, *, allow_full: bool) -> CaptureSettings:
    """What the sidecars are told of `spec.capture`."""
    assert model.spec is not None
    capture = model.spec.capture
    keep, redaction = capture.keep, capture.redaction
    return CaptureSettings(
        payloads=payloads_of(model, allow_full=allow_full),
        keep=KeepSettings(
            errors=keep.errors,
            abandoned=keep.abandoned,
            truncated=keep.truncated,
            slowest=keep.slowest,
            slower_than=(parse_duration(keep.slower_than) or None) if keep.slower_than else None,
            share=float(keep.share),
            per_minute=keep.per_minute,
        ),
        redaction=RedactionSettings(
            without=list(redaction.without),
            patterns=[Pattern(own.name, own.pattern) for own in redaction.patterns],
            drop=list(redaction.drop),
            first_characters=redaction.first_characters,
        ),
        max_body_bytes=capture.max_body_bytes,
        salt=model.uid,
    )


def export_settings(model: Model) -> wire.ExportSettings:
    """What the sidecars are told of `spec.export`."""
    assert model.spec is not None
    export = model.spec.export
    return wire.ExportSettings(
        sinks=[_sink(sink) for sink in export.sinks],
        spool=wire.SpoolSettings(
            memory_bytes=export.spool.memory_bytes,
            disk_bytes=export.spool.disk_bytes,
            age_seconds=_age(export.spool.max_age),
        ),
    )


def _age(text: str) -> float:
    """The schema allows `0s`; sidecars would refuse all of the configuration."""
    return max(parse_duration(text), _LEAST_AGE_SECONDS)


def _sink(sink: spec.Sink) -> wire.SinkSettings:
    if sink.file is not None:
        return wire.FileSinkSettings(
            name=sink.name,
            max_file_bytes=sink.file.max_file_bytes,
            max_file_seconds=_age(sink.file.max_file_age),
            max_bytes=sink.file.max_bytes,
        )
    if sink.object_store is not None:
        store = sink.object_store
        return wire.ObjectStoreSinkSettings(
            name=sink.name,
            url=store.url,
            endpoint=store.endpoint,
            region=store.region,
            max_object_bytes=store.max_object_bytes,
            max_object_seconds=_age(store.max_object_age),
        )
    if sink.kafka is not None:
        return wire.KafkaSinkSettings(
            name=sink.name,
            brokers=list(sink.kafka.brokers),
            topic=sink.kafka.topic,
            tls=sink.kafka.tls,
            sasl=sink.kafka.sasl,
        )
    if sink.cloud_events is not None:
        events = sink.cloud_events
        return wire.CloudEventsSinkSettings(
            name=sink.name,
            url=events.url,
            inference_service=events.inference_service,
            component=events.component,
            endpoint=events.endpoint,
        )
    assert sink.otlp is not None, "the schema says so"
    return wire.OtlpSinkSettings(
        name=sink.name,
        endpoint=sink.otlp.endpoint,
        protocol=sink.otlp.protocol,
        dialect=sink.otlp.dialect,
        headers=dict(sink.otlp.headers),
        resource=dict(sink.otlp.resource),
        max_content_bytes=sink.otlp.max_content_bytes,
        records=sink.otlp.records,
        metrics=sink.otlp.metrics,
        metrics_seconds=_age(sink.otlp.metrics_interval),
        engine_spans=sink.otlp.engine_spans,
    )


def capture_conditions(
    model: Model, summaries: Iterable[Summary], *, allow_full: bool
) -> tuple[Judged, ...]:
    """The conditions Captured and Exported; none where there are no sinks."""
    if model.spec is None or not model.spec.export.sinks:
        return ()
    whole = CaptureReport()
    for summary in summaries:
        whole.merge(summary.capture)
    return _captured(model, whole, allow_full=allow_full), _exported(whole)


def _captured(model: Model, whole: CaptureReport, *, allow_full: bool) -> Judged:
    assert model.spec is not None
    kind, asked = ConditionType.CAPTURED, model.spec.capture.payloads
    if whole.refused:
        message = "no payload is recorded, for spec.capture.redaction cannot be used: "
        return kind, "False", Reason.REDACTION_REFUSED, message + whole.refused
    if asked is Payloads.FULL and not allow_full:
        message = (
            "payloads Full is not allowed by this installation (chart value capture.allowFull); "
            "they are redacted"
        )
        return kind, "False", Reason.FULL_NOT_ALLOWED, message
    if asked is Payloads.FULL:
        message = "prompts and answers are recorded as they pass, not masked"
        return kind, "True", Reason.PAYLOADS_FULL, message
    if asked is Payloads.REDACTED:
        message = "prompts and answers are recorded, masked before they leave the sidecar's memory"
        return kind, "True", Reason.PAYLOADS_REDACTED, message
    return kind, "True", Reason.METADATA_ONLY, "records have metadata alone, no prompt or answer"


def _exported(whole: CaptureReport) -> Judged:
    kind = ConditionType.EXPORTED
    if not whole.sidecars or not whole.sinks:
        return kind, "Unknown", Reason.NO_SIDECAR_ANSWERED, "no sidecar has told of its sinks yet"
    down = {name: sink for name, sink in sorted(whole.sinks.items()) if sink.down}
    if down:
        return kind, "False", Reason.SINK_DOWN, _sentences(down, _down)
    losing = {n: s for n, s in sorted(whole.sinks.items()) if s.lost or s.refused}
    if losing or whole.dropped:
        parts = [_sentences(losing, _losing)] if losing else []
        if whole.dropped:
            reasons = ", ".join(sorted(whole.dropped))
            parts.append(f"some records were not made ({reasons})")
        return kind, "False", Reason.RECORDS_LOST, "; ".join(parts)
    if whole.spool_failed:
        message = (
            f"records wait in memory, not on disk ({whole.spool_failed}): pods have the spool's "
            "volume from their creation on; restart the workload"
        )
        return kind, "False", Reason.SPOOL_NOT_ON_DISK, message
    if whole.spans_not_taken:
        message = (
            f"{whole.spans_not_taken} of {whole.sidecars} sidecars take no spans of the engine: "
            f"port {ENGINE_SPANS_PORT} is used by the pod itself"
        )
        return kind, "False", Reason.ENGINE_SPANS_NOT_TAKEN, message
    unmeasured = {name: sink for name, sink in sorted(whole.sinks.items()) if sink.metrics_down}
    if unmeasured:
        return kind, "False", Reason.METRICS_NOT_DELIVERED, _sentences(unmeasured, _unmeasured)
    names = ", ".join(sorted(whole.sinks))
    return kind, "True", Reason.RECORDS_DELIVERED, f"{names}: nothing is lost, no sink is down"


def _sentences(sinks: dict[str, SinkReport], sentence: Callable[[str, SinkReport], str]) -> str:
    shown = [sentence(name, sink) for name, sink in list(sinks.items())[:_MAX_SINKS_NAMED]]
    return "; ".join(shown)


def _down(name: str, sink: SinkReport) -> str:
    why = f" ({sink.why})" if sink.why else ""
    lag = _coarse(sink.lag_seconds)
    return f"{name} is down for {sink.down} of {sink.sidecars} sidecars{why}, {lag} behind"


def _unmeasured(name: str, sink: SinkReport) -> str:
    why = f" ({sink.metrics_why})" if sink.metrics_why else ""
    return f"{name} has no metrics of {sink.metrics_down} of {sink.sidecars} sidecars{why}"


def _losing(name: str, sink: SinkReport) -> str:
    """Magnitudes, so that a status is not rewritten for each record."""
    parts = []
    if sink.lost:
        parts.append(f"{name} lost some {_magnitude(sink.lost)} records for want of room or time")
    if sink.refused:
        parts.append(f"{name} refused some {_magnitude(sink.refused)}")
    return ", ".join(parts)


def _coarse(seconds: float) -> str:
    """Minutes, then hours: a lag grows with each round."""
    if seconds >= 7200:
        return f"{seconds // 3600:.0f} h"
    return f"{max(seconds // 60, 1):.0f} min"


def _magnitude(count: int) -> int:
    return int(10 ** (len(str(count)) - 1))

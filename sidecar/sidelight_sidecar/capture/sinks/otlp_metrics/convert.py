"""From a snapshot to OTLP's messages. Pure.

Rules:
1. Names, labels and values are those of `/metrics`, a counter's with its `_total`; only the
   conventions' own metrics have the conventions' names and attributes.
2. All is cumulative. What the observer counts began with it; of what others count (`_OTHERS`) it is
   not known since when, and so it is not said.
3. A value that is no number is left out.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from sidelight_sidecar.capture.sinks.otlp.span import operation_name, provider_name
from sidelight_sidecar.records.metrics import Family, Point, Snapshot
from sidelight_sidecar.records.record import Origin

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_OTHERS = tuple(
    f"sidelight_{part}_" for part in ("engine", "relay", "tap", "capture", "sink", "process")
)
"""Counted by the engine, and by processes that the observer may outlive, or they it."""
_UNITS = (("seconds", "s"), ("bytes", "By"), ("ratio", "1"), ("tokens", "{token}"))
"""UCUM's unit by a word of the name; the first that is in it. Others are counts of what the name
says, and have none: with `1` an exporter to Prometheus would add `_ratio`."""
_UNKNOWN_MODEL = "_unknown"
_ENVELOPE_BYTES = 16 << 10
"""Of a request without its metrics, at most: the resource."""
_PER_METRIC_BYTES = 8


def unit_of(name: str) -> str:
    """A metric's unit by its name, such as `s`."""
    words = name.replace(".", "_").split("_")
    return next((unit for word, unit in _UNITS if word in words), "")


def metrics_of(snapshot: Snapshot, origin: Origin) -> Iterator[Metric]:
    """A message for each family that has a series."""
    for family in snapshot.own:
        start = 0 if family.name.startswith(_OTHERS) else snapshot.start_unix_ns
        labels = [dict(zip(family.labels, one.labels, strict=True)) for one in family.points]
        yield _metric(family, unit_of(family.name), labels, start, snapshot.unix_ns)
    for family in snapshot.gen_ai:
        unit = "{token}" if family.name.endswith(".token.usage") else "s"
        labels = [
            gen_ai_attributes(dict(zip(family.labels, one.labels, strict=True)), origin)
            for one in family.points
        ]
        yield _metric(family, unit, labels, snapshot.start_unix_ns, snapshot.unix_ns)


def gen_ai_attributes(labels: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """The conventions' names and words for a series' labels."""
    model = labels["model"] if labels["model"] != _UNKNOWN_MODEL else ""
    found = {
        "gen_ai.operation.name": operation_name(labels["operation"]),
        "gen_ai.provider.name": provider_name(origin.engine, labels["api"]),
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.token.type": labels.get("token", ""),
        "error.type": labels.get("error", ""),
    }
    return {name: value for name, value in found.items() if value}


def _metric(
    family: Family, unit: str, labels: Sequence[Mapping[str, str]], start: int, now: int
) -> Metric:
    made = Metric(name=family.name, description=family.text, unit=unit)
    points = [
        (point, [KeyValue(key=k, value=AnyValue(string_value=_utf8(v))) for k, v in own.items()])
        for point, own in zip(family.points, labels, strict=True)
        if math.isfinite(point.value)
    ]
    if family.kind == "histogram":
        made.histogram.CopyFrom(
            Histogram(
                aggregation_temporality=_CUMULATIVE,
                data_points=[_histogram(family, one, own, start, now) for one, own in points],
            )
        )
    elif family.kind == "summary":
        made.summary.CopyFrom(
            Summary(data_points=[_summary(one, own, start, now) for one, own in points])
        )
    elif family.kind == "counter":
        made.sum.CopyFrom(
            Sum(
                aggregation_temporality=_CUMULATIVE,
                is_monotonic=True,
                data_points=[_number(one, own, start, now) for one, own in points],
            )
        )
    else:
        made.gauge.CopyFrom(Gauge(data_points=[_number(one, own, 0, now) for one, own in points]))
    return made


def _number(point: Point, own: Sequence[KeyValue], start: int, now: int) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=own, start_time_unix_nano=start, time_unix_nano=now, as_double=point.value
    )


def _summary(point: Point, own: Sequence[KeyValue], start: int, now: int) -> SummaryDataPoint:
    return SummaryDataPoint(
        attributes=own,
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=point.count,
        sum=point.value,
    )


def _histogram(
    family: Family, point: Point, own: Sequence[KeyValue], start: int, now: int
) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=own,
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=point.count,
        sum=point.value,
        bucket_counts=point.buckets,
        explicit_bounds=family.bounds,
    )


def requests_of(
    snapshot: Snapshot, origin: Origin, resource: Mapping[str, str], most_bytes: int
) -> Iterator[bytes]:
    """Requests of so many bytes at most, together with all metrics; a metric that fits into none is
    alone.
    """
    for group in _packed(metrics_of(snapshot, origin), most_bytes):
        message = ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(
                    resource=Resource(
                        attributes=[
                            KeyValue(key=name, value=AnyValue(string_value=_utf8(value)))
                            for name, value in resource.items()
                        ]
                    ),
                    scope_metrics=[
                        ScopeMetrics(
                            scope=InstrumentationScope(name="sidelight", version=origin.release),
                            metrics=group,
                        )
                    ],
                )
            ]
        )
        yield message.SerializeToString()


def _packed(metrics: Iterable[Metric], most_bytes: int) -> Iterator[list[Metric]]:
    group: list[Metric] = []
    size = _ENVELOPE_BYTES
    for one in metrics:
        own = one.ByteSize() + _PER_METRIC_BYTES
        if group and size + own > most_bytes:
            yield group
            group, size = [], _ENVELOPE_BYTES
        group.append(one)
        size += own
    if group:
        yield group


def _utf8(text: str) -> str:
    """Text that protobuf takes: half a surrogate pair is none."""
    return text.encode("utf-8", "replace").decode()

"""Every setting of capture and export that sidecars know can be set in the resource."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from controller_world import model_body
from msgspec import NODEFAULT
from msgspec.structs import fields

from sidelight_contract.capture import MAX_PER_MINUTE, CaptureSettings
from sidelight_contract.config import SidecarConfig, decode_config, encode_config
from sidelight_contract.export import SinkSettings, SpoolSettings
from sidelight_operator.controller.models import parse_model
from sidelight_operator.controller.objects import sidecar_config

Json = dict[str, Any]

CAPTURE: Json = {
    "payloads": "Redacted",
    "keep": {
        "errors": False, "abandoned": False, "truncated": True, "slowest": False,
        "slowerThan": "10s", "share": "0.5", "perMinute": 5,
    },
    "redaction": {
        "without": ["card"], "patterns": [{"name": "OWN_ID", "pattern": "x[0-9]+"}],
        "drop": ["Media"], "firstCharacters": 7,
    },
    "maxBodyBytes": 2048,
}  # fmt: skip
SPOOL: Json = {"memoryBytes": 1 << 20, "diskBytes": 1 << 21, "maxAge": "1h"}
SINKS: dict[str, Json] = {
    "file": {"maxFileBytes": 1 << 20, "maxFileAge": "1m", "maxBytes": 1 << 21},
    "objectStore": {
        "url": "s3://bucket/x", "endpoint": "https://minio.storage:9000", "region": "eu-west-1",
        "maxObjectBytes": 1 << 20, "maxObjectAge": "2m",
    },
    "kafka": {"brokers": ["kafka:9092"], "topic": "llm", "tls": True, "sasl": "PLAIN"},
    "cloudEvents": {
        "url": "http://events.eventing", "inferenceService": "chat", "component": "transformer",
        "endpoint": "canary",
    },
    "otlp": {
        "endpoint": "http://collector.monitoring:4317", "protocol": "grpc", "dialect": "Coralogix",
        "headers": {"x-project": "a"}, "resource": {"team": "b"}, "maxContentBytes": 2048,
        "records": False, "metrics": True, "metricsInterval": "1m", "engineSpans": True,
    },
}  # fmt: skip
"""All of each kind, nothing as by default."""
RANGES: list[tuple[str, str, int, int]] = [
    ("file", "maxFileBytes", 1 << 16, 1 << 34),
    ("file", "maxBytes", 1 << 20, 1 << 40),
    ("objectStore", "maxObjectBytes", 1 << 16, 32 << 20),
    ("otlp", "maxContentBytes", 1024, 1 << 20),
]
KINDS = {str(one.__struct_config__.tag): one for one in get_args(SinkSettings)}


def told(
    sink: Json | None = None, *, capture: Json | None = None, spool: Json | None = None
) -> SidecarConfig:
    """What sidecars read of a resource."""
    export = {"sinks": [{"name": "one", **sink}] if sink else [], "spool": spool or {}}
    model = parse_model(model_body(capture=capture or {}, export=export))
    return decode_config(encode_config(sidecar_config(model)))


def as_by_default(settings: msgspec.Struct) -> list[str]:
    """The fields, with those of settings in it, that nothing was said of."""
    found = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, msgspec.Struct):
            found += [f"{field.name}.{name}" for name in as_by_default(value)]
            continue
        default = field.default
        if default is NODEFAULT and field.default_factory is not NODEFAULT:
            default = field.default_factory()
        if value == default:
            found.append(field.name)
    return found


def test_there_is_a_whole_sink_of_each_kind_here():
    """A new kind is tried, too."""
    assert SINKS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_of_a_sink_can_be_set(kind: str):
    """None is as by default once all that the resource has is said."""
    (sink,) = told({kind: SINKS[kind]}).export.sinks
    assert type(sink) is KINDS[kind]
    assert as_by_default(sink) == []


def test_every_field_of_capture_can_be_set():
    """But for the salt, which is the resource's own id."""
    settings = told(capture=CAPTURE).capture
    assert isinstance(settings, CaptureSettings)
    assert as_by_default(settings) == []
    assert settings.salt == "uid-chat"


def test_every_field_of_the_spool_can_be_set():
    """Memory, disk and age."""
    settings = told(spool=SPOOL).export.spool
    assert isinstance(settings, SpoolSettings)
    assert as_by_default(settings) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_defaults_of_resource_and_sidecar_are_the_same(kind: str):
    """A sink of which only what must be said is said."""
    needed = {"objectStore": ["url"], "kafka": ["brokers", "topic"], "cloudEvents": ["url"]}
    needed["otlp"] = ["endpoint"]
    said = {name: SINKS[kind][name] for name in needed.get(kind, [])}
    (sink,) = told({kind: said}).export.sinks
    without_default = {f.name for f in fields(sink) if f.required}
    assert {f.name for f in fields(sink)} - without_default == set(as_by_default(sink))


def test_defaults_of_capture_and_spool_are_the_same():
    """Two places say them: the resource's schema and the sidecar's settings."""
    config = told()
    assert msgspec.structs.replace(config.capture, salt="") == CaptureSettings()
    assert config.export.spool == SpoolSettings()


@pytest.mark.parametrize(("kind", "field", "least", "most"), RANGES)
def test_what_the_resource_allows_the_sidecar_takes(kind: str, field: str, least: int, most: int):
    """To both ends of a range; past them the resource is refused."""
    for value in (least, most):
        told({kind: SINKS[kind] | {field: value}})
    for value in (least - 1, most + 1):
        sink = {"name": "one", kind: SINKS[kind] | {field: value}}
        refused = parse_model(model_body(export={"sinks": [sink]}))
        assert refused.spec is None
        assert field in refused.spec_error


def test_ranges_of_capture_and_spool_are_taken_to_both_ends():
    """The same for what is no sink's."""
    for per_minute, body, characters in ((2, 1024, 0), (MAX_PER_MINUTE, 8 << 20, 1_000_000)):
        told(
            capture={
                "keep": {"perMinute": per_minute},
                "maxBodyBytes": body,
                "redaction": {"firstCharacters": characters},
            }
        )
    for memory, disk in ((1 << 20, 0), (64 << 20, 1 << 40)):
        told(spool={"memoryBytes": memory, "diskBytes": disk})


def test_no_time_at_all_is_no_configuration_that_sidecars_refuse():
    """An age of nothing is a second; slower than nothing is no rule."""
    sinks = {"file": {"maxFileAge": "0s"}, "objectStore": SINKS["objectStore"]}
    sinks["objectStore"] = sinks["objectStore"] | {"maxObjectAge": "0m"}
    spool = {"maxAge": "0h"}
    capture = {"keep": {"slowerThan": "0s"}}
    config = told({"file": sinks["file"]}, spool=spool, capture=capture)
    (file,) = config.export.sinks
    assert file.max_file_seconds == config.export.spool.age_seconds == 1.0
    assert config.capture.keep.slower_than is None
    (objects,) = told({"objectStore": sinks["objectStore"]}).export.sinks
    assert objects.max_object_seconds == 1.0

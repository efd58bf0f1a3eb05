"""From settings to the parts of a capture process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sidelight_contract.capture import Payloads
from sidelight_contract.export import (
    FILES_DIRECTORY,
    SECRETS_DIRECTORY,
    SPOOL_DIRECTORY,
    CloudEventsSinkSettings,
    FileSinkSettings,
    KafkaSinkSettings,
    ObjectStoreSinkSettings,
    OtlpSinkSettings,
    SinkSettings,
    SpoolSettings,
)
from sidelight_contract.names import ENGINE_SPANS_PORT
from sidelight_sidecar.capture.app import Capture, PassedOn
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.ship.policy import ShipSettings
from sidelight_sidecar.capture.ship.shipper import Sink
from sidelight_sidecar.capture.ship.snapshots import SnapshotShipper
from sidelight_sidecar.capture.ship.time_left import Clock, WallClock
from sidelight_sidecar.capture.sinks.file import FileSettings, FileSink
from sidelight_sidecar.capture.words import Words
from sidelight_sidecar.records.handover import Settings

MOST_IN_OBJECT = 100_000
"""Records; bytes are what bounds an object."""


@dataclass(frozen=True, slots=True)
class Places:
    """Directories of the sidecar's container, and where the engine sends its spans to."""

    records: Path = Path(FILES_DIRECTORY)
    spool: Path = Path(SPOOL_DIRECTORY)
    secrets: Path = Path(SECRETS_DIRECTORY)
    engine_spans_port: int = ENGINE_SPANS_PORT


def make_capture(settings: Settings, places: Places) -> Capture:
    """A whole one."""
    clock = WallClock()
    redactor = redactor_for(settings.capture)
    return Capture(
        settings,
        redactor,
        [
            make_sink(sink, places, settings.export.spool)
            for sink in settings.export.sinks
            if not isinstance(sink, OtlpSinkSettings) or sink.records
        ],
        clock=clock,
        metrics=list(make_metrics(settings, places, clock)),
        engine_spans=make_engine_spans(settings, places, clock, redactor.words),
        spool_directory=places.spool,
    )


def make_metrics(settings: Settings, places: Places, clock: Clock) -> Iterator[SnapshotShipper]:
    """One for each sink that metrics are sent to."""
    for sink in settings.export.sinks:
        if isinstance(sink, OtlpSinkSettings) and sink.sends_metrics:
            from sidelight_sidecar.capture.sinks.otlp_metrics import sender  # noqa: PLC0415

            made = sender.make_otlp_metrics(sink, settings.origin, places.secrets / sink.name)
            yield SnapshotShipper(made, clock)


def make_engine_spans(
    settings: Settings, places: Places, clock: Clock, words: Words
) -> PassedOn | None:
    """From the engine to the sinks that ask for its spans; None: none does."""
    asking = [
        sink
        for sink in settings.export.sinks
        if isinstance(sink, OtlpSinkSettings) and sink.engine_spans
    ]
    if not asking:
        return None
    from sidelight_sidecar.capture.engine_spans import allowed, hub, intake, passing  # noqa: PLC0415

    listed = None if settings.capture.payloads is Payloads.FULL else allowed.Allowed(words)
    sinks = [
        passing.make_passing(one, settings.origin, places.secrets / one.name, clock)
        for one in asking
    ]
    return hub.EngineSpans(intake.Intake(places.engine_spans_port), listed, sinks)


def make_sink(
    settings: SinkSettings, places: Places, spool: SpoolSettings
) -> tuple[Sink, ShipSettings]:
    """A sink, and how it is sent to. What a kind of sink needs is imported with the first of it:
    most pods have one kind, and each costs megabytes.
    """
    secret = places.secrets / settings.name
    if isinstance(settings, FileSinkSettings):
        bounds = FileSettings(
            settings.max_file_bytes, settings.max_file_seconds, settings.max_bytes
        )
        sink = FileSink(settings.name, places.records / settings.name, bounds)
        return sink, ShipSettings(linger_seconds=1.0, most_aside=0)
    if isinstance(settings, ObjectStoreSinkSettings):
        from sidelight_sidecar.capture.sinks import object_store  # noqa: PLC0415

        how = ShipSettings(
            most=MOST_IN_OBJECT,
            most_bytes=min(settings.max_object_bytes, _bytes(spool) // 2),
            linger_seconds=settings.max_object_seconds,
            timeout_seconds=object_store.SEND_SECONDS,
            most_aside=0,  # else each would be an object, after an outage
        )
        return object_store.ObjectStoreSink(settings.name, settings, secret), how
    if isinstance(settings, KafkaSinkSettings):
        from sidelight_sidecar.capture.sinks import kafka  # noqa: PLC0415

        return kafka.KafkaSink(settings.name, settings, secret), ShipSettings(linger_seconds=1.0)
    if isinstance(settings, CloudEventsSinkSettings):
        from sidelight_sidecar.capture.sinks import cloudevents  # noqa: PLC0415

        how = ShipSettings(most=cloudevents.MOST, linger_seconds=1.0)
        return cloudevents.make_cloudevents_sink(settings, secret), how
    from sidelight_sidecar.capture.sinks.otlp import sink as otlp  # noqa: PLC0415

    return otlp.make_otlp_sink(settings, secret), ShipSettings()


def _bytes(spool: SpoolSettings) -> int:
    """What records that wait may take."""
    return spool.disk_bytes or spool.memory_bytes

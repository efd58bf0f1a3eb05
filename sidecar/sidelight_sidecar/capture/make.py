"""From settings to the parts of a capture process."""

from dataclasses import dataclass
from pathlib import Path

from sidelight_contract.export import (
    FILES_DIRECTORY,
    SECRETS_DIRECTORY,
    SPOOL_DIRECTORY,
    FileSinkSettings,
    SinkSettings,
)
from sidelight_sidecar.capture.app import Capture
from sidelight_sidecar.capture.redact import Redaction
from sidelight_sidecar.capture.ship.policy import ShipSettings
from sidelight_sidecar.capture.ship.shipper import Sink, WallClock
from sidelight_sidecar.capture.sinks.file import FileSettings, FileSink
from sidelight_sidecar.records.handover import Settings


@dataclass(frozen=True, slots=True)
class Places:
    """Directories of the sidecar's container."""

    records: Path = Path(FILES_DIRECTORY)
    spool: Path = Path(SPOOL_DIRECTORY)
    secrets: Path = Path(SECRETS_DIRECTORY)


def make_capture(settings: Settings, places: Places) -> Capture:
    """A whole one."""
    return Capture(
        settings,
        Redaction(settings.capture),
        [make_sink(sink, places) for sink in settings.export.sinks],
        clock=WallClock(),
        spool_directory=places.spool,
    )


def make_sink(settings: SinkSettings, places: Places) -> tuple[Sink, ShipSettings]:
    """A sink, and how it is sent to."""
    if isinstance(settings, FileSinkSettings):
        bounds = FileSettings(
            settings.max_file_bytes, settings.max_file_seconds, settings.max_bytes
        )
        sink = FileSink(settings.name, places.records / settings.name, bounds)
        return sink, ShipSettings(linger_seconds=1.0)
    raise NotImplementedError(type(settings).__name__)

"""`sidelight-sidecar replay FILE --capture`: the records that would have been shipped.

It stands above observer and capture, which do not know each other. Rules:
1. What runs here is what runs in a pod: the observer's offers, the capture process' masking. Only
   the socket, the process and the sinks are missing.
2. The same file and settings make the same bytes, every time.
3. Nothing is written anywhere: records are yielded.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from sidelight_contract.capture import MAX_PER_MINUTE, CaptureSettings, KeepSettings, Payloads
from sidelight_contract.config import SidecarConfig
from sidelight_contract.export import ExportSettings, FileSinkSettings
from sidelight_sidecar.capture.recorder import Recorder
from sidelight_sidecar.capture.redact import redactor_for
from sidelight_sidecar.capture.spool.queue import MemorySpool
from sidelight_sidecar.frames.codec import FrameError
from sidelight_sidecar.frames.file import FrameFileReader
from sidelight_sidecar.observer.capture.keeping import settings_for
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import Captured, CaptureState
from sidelight_sidecar.records.record import Origin

_READER = "replay"
_ANY_SINK = ExportSettings(sinks=[FileSinkSettings(name=_READER)])
EVERYTHING = SidecarConfig(
    version=1,
    capture=CaptureSettings(
        payloads=Payloads.REDACTED, keep=KeepSettings(per_minute=MAX_PER_MINUTE)
    ),
)
"""Without settings of the user's own: all of it, masked."""


class CaptureReplay:
    """Makes records of one frame file.

    Args:
        path: the file.
        config: the settings in force; where they have no sink, it is as if they had one.

    Attributes:
        passed: exchanges that are no records by `capture.keep`, once all is read.
        state: what the capture process would tell, once all is read.
    """

    def __init__(self, path: Path, config: SidecarConfig) -> None:
        sinks = bool(config.export.sinks)
        self._path = path
        self._config = config if sinks else msgspec.structs.replace(config, export=_ANY_SINK)
        self._spool = MemorySpool([_READER], _room(config.export))
        self._recorder = Recorder(redactor_for(config.capture), self._spool, lambda _: None)
        self.passed = 0

    def __iter__(self) -> Iterator[bytes | FrameError]:
        """Records as lines of JSON without their ends; then the error, if the file is damaged or
        cut off: what is whole before it counts.
        """
        with self._path.open("rb") as file:
            try:
                reader = FrameFileReader(file)
            except FrameError as error:
                yield error
                return
            pipeline = self._pipeline(reader)
            failure = None
            try:
                for frame in reader:
                    pipeline.feed([frame])
                    yield from self._lines()
            except FrameError as error:
                failure = error
            self.passed = pipeline.offers.passed
            if failure is not None:
                yield failure

    @property
    def state(self) -> CaptureState:
        """See the class."""
        return self._recorder.state((), 0)

    def _pipeline(self, reader: FrameFileReader) -> Pipeline:
        pipeline = Pipeline(reader.monotonic_ns, reader.wall_ns, self._config)
        settings = settings_for(pipeline, Origin())
        assert settings is not None, "there is a sink"
        pipeline.offers.origin = settings.origin
        pipeline.offers.give = self._give
        return pipeline

    def _give(self, captured: Captured) -> bool:
        times = captured.record.times
        self._recorder.take(captured, times.start_unix_ns / 1e9 + times.duration_seconds)
        return True

    def _lines(self) -> Iterator[bytes]:
        while entries := self._spool.read(_READER, most=1, most_bytes=1):
            yield entries[0].record
            self._spool.done(_READER, entries[0].number)


def _room(export: ExportSettings) -> int:
    return export.spool.disk_bytes or export.spool.memory_bytes

"""The capture process itself, as the observer starts it: records in files, whatever happens."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import (
    CloudEventsSinkSettings,
    ExportSettings,
    FileSinkSettings,
    OtlpSinkSettings,
    SpoolSettings,
)
from sidelight_sidecar.capture.spool.lock import Lock
from sidelight_sidecar.coding import zstd
from sidelight_sidecar.observer.capture.child import END_SECONDS, PROGRAM, CaptureChild
from sidelight_sidecar.records.handover import Captured, Payload, Settings, encode
from sidelight_sidecar.records.metrics import Snapshot
from sidelight_sidecar.records.record import Origin, Record, Times, decode_record

SINK = FileSinkSettings(name="files")
SETTINGS = Settings(
    CaptureSettings(), ExportSettings([SINK]), Origin(namespace="ml", pod="chat-0")
)  # fmt: skip


def captured(number: int) -> Captured:
    record = Record(
        f"{number:032x}", f"r-{number}", SETTINGS.origin, Times(1, 0.5), "chat", "Off", code=200
    )
    return Captured(record, Payload(), Payload())


def ids(directory: Path) -> list[str]:
    """Of the records in all files, in order."""
    return [
        decode_record(line).request_id
        for path in sorted(directory.glob("files/*.jsonl.zst*"))
        for line in zstd.decompress(path.read_bytes()).splitlines()
    ]


def growing(directory: Path) -> list[Path]:
    """Files that have not ended."""
    return list(directory.glob("files/*.open"))


async def until(condition: Callable[[], object]) -> None:
    """Poll until it is true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(directory: Path, settings: Settings) -> AsyncIterator[CaptureChild]:
    """A child, taking exchanges; it ends with the block, and ships what waits."""
    places = ("--records", str(directory), "--spool", str(directory / "spool"))
    child = CaptureChild(*places)
    child.configure(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(child.run())
        try:
            await until(lambda: child.state.sinks)
            yield child
        finally:
            task.cancel()


async def test_what_is_handed_over_is_in_the_file_when_the_observer_has_ended(tmp_path: Path):
    """Though no batch was full, and nobody waited for the age."""
    async with running(tmp_path, SETTINGS) as child:
        assert all(child.give(captured(number)) for number in range(100))
        await until(lambda: child.state.records == 100)
    assert ids(tmp_path) == [f"r-{number}" for number in range(100)]
    assert not growing(tmp_path)


async def test_a_file_ends_by_its_age_though_nothing_comes(tmp_path: Path):
    """So a collector has it, and need not wait for the next request."""
    sink = FileSinkSettings(name="files", max_file_seconds=0.5)
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings([sink]))
    async with running(tmp_path, settings) as child:
        child.give(captured(1))
        await until(lambda: list(tmp_path.glob("files/*.zst")))
    assert ids(tmp_path) == ["r-1"]


async def test_other_settings_mean_another_process_and_nothing_is_lost(tmp_path: Path):
    """The first ships what it had."""
    async with running(tmp_path, SETTINGS) as child:
        child.give(captured(1))
        await until(lambda: child.state.records == 1)
        other = msgspec.structs.replace(SETTINGS, capture=CaptureSettings(max_body_bytes=2048))
        child.configure(other)
        await until(lambda: child.running and child.state.records == 0)
        child.give(captured(2))
        await until(lambda: child.state.records == 1)
    assert ids(tmp_path) == ["r-1", "r-2"]
    assert child.restarts == 0


async def test_a_process_that_dies_is_started_again_and_a_disk_spool_outlives_it(tmp_path: Path):
    """Killed before anything was shipped: every record is there, some perhaps twice."""
    spool = SpoolSettings(disk_bytes=1 << 20)
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings([SINK], spool))
    async with running(tmp_path, settings) as child:
        for number in range(5):
            child.give(captured(number))
        await until(lambda: child.state.records == 5)
        assert child.pid is not None
        await asyncio.create_subprocess_exec("kill", f"-{signal.SIGKILL}", str(child.pid))
        await until(lambda: child.restarts == 1 and child.running)
        await until(lambda: child.state.sinks and child.state.records == 0)
        child.give(captured(5))
    assert sorted(set(ids(tmp_path))) == [f"r-{number}" for number in range(6)]


async def test_a_spool_that_is_still_anothers_is_waited_for_and_nothing_is_lost(tmp_path: Path):
    """The observer died, and the process of the one before still ships."""
    spool = SpoolSettings(disk_bytes=1 << 20)
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings([SINK], spool))
    (tmp_path / "spool").mkdir()
    other = Lock(tmp_path / "spool")
    child = CaptureChild("--records", str(tmp_path), "--spool", str(tmp_path / "spool"))
    child.configure(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(child.run())
        await until(lambda: child.running)
        assert all(child.give(captured(number)) for number in range(3))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await until(lambda: child.state.sinks)
        assert not child.state.sinks, "it waits"
        other.close()
        await until(lambda: child.state.records == 3)
        task.cancel()
    assert ids(tmp_path) == ["r-0", "r-1", "r-2"]
    assert child.restarts == 0


async def test_a_spool_that_cannot_be_on_disk_is_in_memory_and_said(tmp_path: Path):
    """A pod from before there was to be a volume."""
    (tmp_path / "spool").write_text("in the way")
    spool = SpoolSettings(disk_bytes=1 << 20)
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings([SINK], spool))
    async with running(tmp_path, settings) as child:
        child.give(captured(1))
        await until(lambda: child.state.records == 1)
        assert child.state.spool_failed == "File exists"
    assert ids(tmp_path) == ["r-1"]


@pytest.mark.slow
async def test_it_ends_by_itself_and_in_time_though_a_sink_never_answers(tmp_path: Path):
    """Before who started it would kill it; so the pod's own time is kept, too."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sinks = [
        OtlpSinkSettings(name="traces", endpoint=url, metrics=True),
        CloudEventsSinkSettings(name="events", url=url),
        SINK,
    ]
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings(sinks))
    ours, theirs = socket.socketpair()
    with theirs:
        command = [*PROGRAM, "--records", str(tmp_path), "--spool", str(tmp_path / "spool")]
        process = await asyncio.create_subprocess_exec(*command, stdin=theirs.fileno())
    ours.sendall(encode(settings) + encode(Snapshot(1, 2, [], [])))
    ours.sendall(b"".join(encode(captured(number)) for number in range(50)))
    async with asyncio.timeout(30):
        await asked.wait()
    ours.close()
    async with asyncio.timeout(END_SECONDS):
        assert await process.wait() == 0
    server.close()
    assert ids(tmp_path) == [f"r-{number}" for number in range(50)], "the healthy sink has all"


async def test_a_port_that_injection_says_is_the_pods_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Though a sink asks for the engine's spans; and that is told."""
    monkeypatch.setenv("SIDELIGHT_ENGINE_SPANS_PORT", "0")
    sink = OtlpSinkSettings(name="traces", endpoint="http://127.0.0.1:1", engine_spans=True)
    settings = msgspec.structs.replace(SETTINGS, export=ExportSettings([sink]))
    async with running(tmp_path, settings) as child:
        await until(lambda: child.state.engine_spans_taken is not None)
        assert not child.state.engine_spans_taken


async def test_with_nothing_to_capture_there_is_no_process_and_nothing_is_taken(tmp_path: Path):
    """Until it is asked for again."""
    async with running(tmp_path, SETTINGS) as child:
        child.configure(None)
        await until(lambda: not child.running)
        assert not child.give(captured(1))
        await until(lambda: child.pid is None)

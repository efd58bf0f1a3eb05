"""Records in files: whole, rotated, and never more than is allowed."""

import asyncio
import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.file import GROWING, SUFFIX, FileSettings, FileSink
from sidelight_sidecar.capture.spool.queue import Entry
from sidelight_sidecar.coding import zstd


class Usage(NamedTuple):
    """As `shutil.disk_usage` tells it."""

    total: int
    used: int
    free: int


class Clock:
    """Unix seconds that a test sets."""

    def __init__(self) -> None:
        self.time = 1_764_000_000.0

    def __call__(self) -> float:
        return self.time


def send(sink: FileSink, *records: bytes) -> Delivery:
    """What came of sending them as one batch."""
    entries = [Entry(number, record, 0.0) for number, record in enumerate(records)]
    return asyncio.run(sink.send(entries))


def files(directory: Path) -> list[Path]:
    """All of them, by age."""
    return sorted(path for path in directory.iterdir() if path.name != ".lock")


def lines(directory: Path) -> list[bytes]:
    """Of all files, the growing one included, in order."""
    return [
        line
        for path in files(directory)
        for line in zstd.decompress(path.read_bytes()).splitlines()
    ]


def noise(number: int) -> bytes:
    """128 bytes that do not shrink much."""
    return hashlib.sha512(b"%d" % number).hexdigest().encode()


def test_batches_are_appended_and_each_is_readable_at_once(tmp_path: Path):
    """Two batches, one file that still grows."""
    sink = FileSink("file", tmp_path, FileSettings(), Clock())
    assert send(sink, b'{"id":1}', b'{"id":2}').outcome is Outcome.DELIVERED
    assert send(sink, b'{"id":3}').outcome is Outcome.DELIVERED
    (path,) = files(tmp_path)
    assert path.name.endswith(SUFFIX + GROWING)
    assert lines(tmp_path) == [b'{"id":1}', b'{"id":2}', b'{"id":3}']


def test_a_file_ends_by_size_and_by_age(tmp_path: Path):
    """Ended files have no `.open`; a quiet one is ended by the clock."""
    clock = Clock()
    sink = FileSink("file", tmp_path, FileSettings(max_file_bytes=1), clock)
    send(sink, b"one")
    send(sink, b"two")
    assert [path.suffix for path in files(tmp_path)] == [".zst", ".zst"]
    old = FileSink("file", tmp_path / "old", FileSettings(max_file_seconds=600), clock)
    send(old, b"one")
    clock.time += 599
    old.end_old_file()
    assert [path.suffix for path in files(tmp_path / "old")] == [GROWING]
    clock.time += 1
    old.end_old_file()
    assert [path.suffix for path in files(tmp_path / "old")] == [".zst"]


def test_a_file_is_not_ended_while_it_is_written_to(tmp_path: Path):
    """It is tried again: a thread may be writing a batch that timed out."""
    clock = Clock()
    sink = FileSink("file", tmp_path, FileSettings(max_file_seconds=600), clock)
    send(sink, b"one")
    clock.time += 600
    with sink._writing:
        sink.end_old_file()
        assert [path.suffix for path in files(tmp_path)] == [GROWING]
    sink.end_old_file()
    assert [path.suffix for path in files(tmp_path)] == [".zst"]


def test_a_closed_sink_has_ended_its_file_and_another_may_have_the_directory(tmp_path: Path):
    """As a process does that ends."""
    sink = FileSink("file", tmp_path, FileSettings(), Clock())
    send(sink, b"one")
    asyncio.run(sink.close())
    assert [path.suffix for path in files(tmp_path)] == [".zst"]
    other = FileSink("file", tmp_path, FileSettings(), Clock())
    assert send(other, b"two").outcome is Outcome.DELIVERED


def test_all_files_together_stay_within_the_limit_and_the_oldest_go(tmp_path: Path):
    """What is left are the newest."""
    settings = FileSettings(max_file_bytes=1, max_bytes=1000)
    sink = FileSink("file", tmp_path, settings, Clock())
    for number in range(50):
        send(sink, b"%d %s" % (number, noise(number)))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 1000
    kept = [int(line.split()[0]) for line in lines(tmp_path)]
    assert kept[-1] == 49
    assert sink.deleted > 30


def test_a_file_system_that_is_nearly_full_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The batch waits; nothing is written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 1000, 1000))
    delivery = send(FileSink("file", tmp_path, FileSettings(), Clock()), b"one")
    assert (delivery.outcome, delivery.why) == (Outcome.LATER, "file system nearly full")
    assert files(tmp_path) == []


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path):
    """By the system's own words, which hold no record."""
    (tmp_path / "taken").write_text("a file")
    sink = FileSink("file", tmp_path / "taken", FileSettings(), Clock())
    delivery = send(sink, b"one")
    assert (delivery.outcome, delivery.why) == (Outcome.LATER, "File exists")


def test_what_a_crash_left_growing_is_ended_and_not_written_behind(tmp_path: Path):
    """What is half written of it goes, so that every reader takes the file."""
    first = FileSink("file", tmp_path, FileSettings(), Clock())
    send(first, b"one")
    (growing,) = files(tmp_path)
    other = FileSink("file", tmp_path, FileSettings(), Clock())
    assert send(other, b"two").why == "directory taken"
    assert first._lock is not None
    first._lock.close()  # as its process's end does
    growing.write_bytes(growing.read_bytes() + b"\x28\xb5\x2f\xfd half")
    later = Clock()
    later.time += 60
    send(FileSink("file", tmp_path, FileSettings(), later), b"two")
    ended, grows = files(tmp_path)
    assert ended.name == growing.name.removesuffix(GROWING)
    assert zstd.decompress(ended.read_bytes()) == b"one\n"
    assert zstd.decompress(grows.read_bytes()) == b"two\n"


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4), st.data())
def test_of_a_file_that_was_cut_anywhere_the_whole_batches_are_left(
    batches: list[bytes], data: st.DataObject
):
    """Within a head, within a block, between two frames; one without any is gone."""
    frames = [zstd.compress(batch) for batch in batches]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, frames[:count])) for count in range(len(frames) + 1)]
    left = max(end for end in ends if end <= cut)
    with TemporaryDirectory() as name:
        path = Path(name) / f"0{SUFFIX}{GROWING}"
        path.write_bytes(whole[:cut])
        send(FileSink("file", Path(name), FileSettings(), Clock()), b"new")
        ended = path.with_suffix("")
        assert ended.exists() == bool(left)
        if left:
            expected = b"".join(batches[: ends.index(left)])
            assert zstd.decompress(ended.read_bytes()) == expected

"""Spools in memory and on disk: bounded, read by all, at least once, whatever a crash leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sidelight_sidecar.capture.spool import segment
from sidelight_sidecar.capture.spool.disk import SEGMENTS, DiskSpool
from sidelight_sidecar.capture.spool.queue import ENTRY_OVERHEAD, MemorySpool, Spool

READERS = ("kafka", "s3")
Make = Callable[[int], Spool]


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Either spool, with a limit for so many small entries."""

    def spool(entries: int) -> Spool:
        if request.param == "memory":
            return MemorySpool(READERS, entries * (ENTRY_OVERHEAD + 100))
        return DiskSpool(tmp_path / "spool", READERS, entries * (segment.HEADER_BYTES + 100))

    return spool


def numbered(number: int) -> bytes:
    """A record of 100 bytes."""
    return b"%0100d" % number


def all_of(spool: Spool, reader: str) -> list[bytes]:
    return [entry.record for entry in spool.read(reader, most=10**9, most_bytes=10**9)]


def test_each_reader_reads_all_at_its_own_pace(make: Make):
    """What one is done with waits for the other."""
    spool = make(64)
    for number in range(5):
        assert spool.append(numbered(number), number)
    first = spool.read("kafka", most=2, most_bytes=10**6)
    assert [entry.record for entry in first] == [numbered(0), numbered(1)]
    spool.done("kafka", first[-1].number)
    assert all_of(spool, "kafka") == [numbered(2), numbered(3), numbered(4)]
    assert all_of(spool, "s3") == [numbered(number) for number in range(5)]
    assert (spool.waiting("kafka"), spool.waiting("s3")) == (3, 5)


def test_what_is_not_done_is_read_again(make: Make):
    """At least once."""
    spool = make(64)
    spool.append(b"one", 0)
    assert all_of(spool, "s3") == all_of(spool, "s3") == [b"one"]


def test_a_batch_has_at_least_one_and_no_more_than_its_bytes(make: Make):
    """A record that is larger than a batch is a batch."""
    spool = make(64)
    for number in range(4):
        spool.append(numbered(number), number)
    assert len(spool.read("s3", most=10, most_bytes=250)) == 2
    assert len(spool.read("s3", most=10, most_bytes=1)) == 1


def test_the_oldest_go_first_and_who_had_not_read_them_is_told(make: Make):
    """The limit holds; a reader that kept up lost nothing."""
    spool = make(32)
    for number in range(100):
        assert spool.append(numbered(number), number)
        spool.done("kafka", spool.read("kafka", most=1, most_bytes=10**6)[0].number)
    rest = all_of(spool, "s3")
    assert rest == [numbered(number) for number in range(100 - len(rest), 100)]
    assert 24 <= len(rest) <= 32
    assert spool.lost("s3") == 100 - len(rest)
    assert (spool.lost("kafka"), spool.waiting("kafka")) == (0, 0)


def test_what_never_fits_is_refused_and_nothing_goes_for_it(make: Make):
    """Else one giant would empty the spool."""
    spool = make(32)
    spool.append(b"small", 0)
    assert not spool.append(b"x" * 10_000, 0)
    assert all_of(spool, "s3") == [b"small"]
    assert spool.lost("s3") == 0


def test_what_all_are_done_with_takes_no_room(make: Make):
    """Or it would be the healthy who fill it."""
    spool = make(32)
    for number in range(1000):
        spool.append(numbered(number), number)
        for reader in READERS:
            spool.done(reader, spool.read(reader, most=1, most_bytes=10**6)[0].number)
    assert spool.size <= 1000
    assert spool.lost("s3") == 0


def test_a_reader_is_never_done_with_what_is_not_there_yet(make: Make):
    """A number from nowhere skips nothing."""
    spool = make(32)
    spool.append(b"one", 0)
    spool.done("s3", 10**6)
    spool.append(b"two", 0)
    assert all_of(spool, "s3") == [b"two"]


def test_what_is_set_aside_waits_and_those_behind_it_are_read(make: Make):
    """Until it is settled; other readers do not know of it."""
    spool = make(64)
    for number in range(4):
        spool.append(numbered(number), number)
    spool.set_aside("s3", 0)
    assert all_of(spool, "s3") == [numbered(number) for number in range(1, 4)]
    assert (spool.unread("s3"), spool.waiting("s3"), spool.waiting("kafka")) == (3, 4, 4)
    spool.done("s3", 3)
    spool.done("kafka", 3)
    assert (spool.oldest("s3"), spool.oldest("s3", aside=False)) == (0, None)
    entry = spool.read_aside("s3", 0)
    assert entry is not None
    assert entry.record == numbered(0)
    assert spool.read_aside("kafka", 0) is None
    spool.settle("s3", 0)
    assert (spool.waiting("s3"), spool.oldest("s3"), spool.read_aside("s3", 0)) == (0, None, None)


def test_what_was_set_aside_can_go_and_is_told(make: Make):
    """For want of room, like any other; the limit holds."""
    spool = make(32)
    spool.append(numbered(0), 0)
    spool.set_aside("s3", 0)
    for number in range(1, 100):
        spool.append(numbered(number), number)
        spool.done("s3", number)
    assert spool.read_aside("s3", 0) is None
    assert (spool.waiting("s3"), spool.lost("s3")) == (0, 1)


def test_what_was_set_aside_is_read_again_after_a_crash(tmp_path: Path):
    """And so may be what was read behind it: twice rather than never."""
    spool = DiskSpool(tmp_path, READERS, LIMIT)
    for number in range(3):
        spool.append(numbered(number), number)
    spool.set_aside("s3", 0)
    spool.done("s3", 2)
    spool.close()
    spool = DiskSpool(tmp_path, READERS, LIMIT)
    assert all_of(spool, "s3") == [numbered(number) for number in range(3)]
    spool.close()


LIMIT = SEGMENTS * 220


class CrashingDisk(RuleBasedStateMachine):
    """A process that ends anywhere and is started again: nothing that is there whole is skipped,
    nothing is told twice but what was not done, and the limit holds.
    """

    directory: Path

    def __init__(self) -> None:
        super().__init__()
        for path in self.directory.glob("*"):
            path.unlink()
        self.spool = DiskSpool(self.directory, READERS, LIMIT)
        self.written = 0
        self.bytes = 0
        self.read: dict[str, int] = dict.fromkeys(READERS, -1)

    @rule(size=st.integers(4, 90))
    def append(self, size: int) -> None:
        assert self.spool.append(b"%d " % self.written + b"x" * size, 0)
        self.written += 1
        self.bytes += size + 20

    @rule(reader=st.sampled_from(READERS), most=st.integers(1, 5))
    def ship(self, reader: str, most: int) -> None:
        entries = self.spool.read(reader, most=most, most_bytes=10**6)
        seen = [int(entry.record.split()[0]) for entry in entries]
        assert seen == sorted(set(seen))
        assert all(number > self.read[reader] for number in seen)
        if entries:
            self.spool.done(reader, entries[-1].number)
            self.read[reader] = seen[-1]

    def start_again(self) -> None:
        self.spool.close()
        self.spool = DiskSpool(self.directory, READERS, LIMIT)

    @rule()
    def crash(self) -> None:
        self.start_again()

    @rule(keep=st.integers(0, 200))
    def crash_within_a_write(self, keep: int) -> None:
        newest = max(self.directory.glob("*.records"), default=None)
        if newest is not None:
            with newest.open("ab") as file:
                self.bytes += file.write(segment.encode(b"half" * 50, 0)[:keep])
        self.start_again()

    @rule(what=st.sampled_from([b"", b"{", b"[]", b'{"s3": -4}']))
    def lose_the_places(self, what: bytes) -> None:
        (self.directory / "places.json").write_bytes(what)
        self.start_again()
        self.read = dict.fromkeys(READERS, -1)
        self.bytes = LIMIT  # what all were done with may be gone

    def teardown(self) -> None:
        self.spool.close()

    @invariant()
    def the_newest_is_there_and_the_limit_holds(self) -> None:
        assert self.spool.size <= LIMIT
        files = sum(path.stat().st_size for path in self.directory.glob("*.records"))
        assert files <= LIMIT + 200
        for reader in READERS:
            records = all_of(self.spool, reader)
            numbers = [int(one.split()[0]) for one in records if not one.startswith(b"half")]
            first = numbers[0] if numbers else self.written
            assert numbers == list(range(first, self.written))
            assert first == self.read[reader] + 1 or self.bytes > LIMIT - 500, "some had to go"


def test_a_crash_anywhere_loses_nothing_that_was_whole(tmp_path: Path):
    """See `CrashingDisk`."""
    CrashingDisk.directory = tmp_path
    many = settings(max_examples=40, stateful_step_count=25)
    run_state_machine_as_test(CrashingDisk, settings=many)


@given(st.lists(st.binary(max_size=50), max_size=6), st.data())
def test_of_any_damaged_file_the_whole_entries_before_the_damage_are_read(
    records: list[bytes], data: st.DataObject
):
    """Cut anywhere, or a byte changed anywhere."""
    whole = b"".join(segment.encode(record, 7.5) for record in records)
    sound = list(segment.entries(whole))
    assert [read.record for read in sound] == records
    cut = data.draw(st.integers(0, len(whole)))
    left = list(segment.entries(whole[:cut]))
    assert left == [read for read in sound if read.end <= cut]
    if whole:
        place = data.draw(st.integers(0, len(whole) - 1))
        changed = bytearray(whole)
        changed[place] ^= data.draw(st.integers(1, 255))
        read = list(segment.entries(bytes(changed)))
        assert read == [one for one in sound if one.end <= place], "nothing behind it is trusted"


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path):
    """Until the first has ended."""
    first = DiskSpool(tmp_path, READERS, LIMIT)
    with pytest.raises(BlockingIOError):
        DiskSpool(tmp_path, READERS, LIMIT)
    first.close()
    DiskSpool(tmp_path, READERS, LIMIT).close()


def test_what_is_too_old_goes_and_is_told(make: Make):
    """By when it came; the rest stays."""
    spool = make(64)
    for number in range(8):
        spool.append(numbered(number), 10_000.0 * number)
    assert spool.oldest("s3") == 0
    spool.expire(before=35_000.0)
    assert all_of(spool, "s3") == [numbered(number) for number in range(4, 8)]
    assert (spool.oldest("s3"), spool.lost("s3")) == (40_000.0, 4)
    spool.expire(before=10.0**9)
    assert (spool.oldest("s3"), spool.waiting("s3"), spool.size) == (None, 0, 0)
    assert spool.append(b"later", 0)
    assert all_of(spool, "s3") == [b"later"]


def test_a_disk_that_takes_no_more_costs_the_oldest_then_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Room is made once; then the record is refused, and what is there stays readable."""
    spool = DiskSpool(tmp_path, READERS, SEGMENTS * 240)
    for number in range(6):
        spool.append(numbered(number), number)
    monkeypatch.setattr(Path, "open", _full(Path.open))
    assert not spool.append(numbered(6), 6)
    monkeypatch.undo()
    assert all_of(spool, "s3") == [numbered(number) for number in range(2, 6)]
    assert spool.lost("s3") == 2
    assert spool.append(numbered(7), 7)


def _full(opened: Callable[..., object]) -> Callable[..., object]:
    """`Path.open`, on a disk that is full: only what writes is refused."""

    def refused(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        if "a" in mode or "w" in mode:
            raise OSError(28, "No space left on device")
        return opened(path, mode, *rest, **more)

    return refused

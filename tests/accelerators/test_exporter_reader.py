"""The source that reads the node's exporter: what it asks, when, and how it says that it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from itertools import cycle, pairwise

import pytest
from exporter_answers import NAMESPACE, POD, answer

from sidelight_contract.gpu import GpuSource
from sidelight_contract.names import Reason
from sidelight_sidecar.observer.accelerators.exporter_client import (
    PIECE_BYTES,
    ExporterError,
    http_exporter_client,
)
from sidelight_sidecar.observer.accelerators.exporter_reader import (
    KEPT_SAMPLES,
    LARGE_BYTES,
    LARGE_READ_SECONDS,
    READ_SECONDS,
    STALE_SECONDS,
    UNTOLD_SECONDS,
    ExporterSource,
)
from sidelight_sidecar.observer.accelerators.exporter_text import MAX_TEXT_BYTES
from sidelight_sidecar.observer.accelerators.source import AcceleratorSource

ADDRESS = "198.51.100.7:9400"
PLAIN = answer("dcgm-plain")
DOWN = ExporterError(Reason.EXPORTER_UNREACHABLE, "cannot be connected to")


class Scripted:
    """An exporter that answers what the test puts in."""

    def __init__(self, text: bytes | Exception = PLAIN) -> None:
        self.text = text
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def read(self, address: str) -> AsyncGenerator[bytes, None]:
        self.asked.append(address)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            self.meanwhile()
            if isinstance(self.text, Exception):
                raise self.text
            for start in range(0, len(self.text), PIECE_BYTES):
                yield self.text[start : start + PIECE_BYTES]
        finally:
            self.at_once -= 1


class World:
    """A source, an exporter and a clock."""

    def __init__(self, wanted: GpuSource = GpuSource.AUTO, *, told: bool = True) -> None:
        self.seconds = 1000.0
        self.exporter = Scripted()
        self.source = ExporterSource(
            NAMESPACE,
            POD,
            wanted,
            self.exporter,
            now_ns=lambda: round(self.seconds * 1e9),
            chance=lambda: 0.5,
        )
        if told:
            self.source.tell("dcgm", ADDRESS)

    async def read(self, after: float = 0.0, joules: int | None = None) -> float:
        """Once, some seconds later, when the counter has moved on to so many."""
        self.seconds += after
        if joules is not None:
            self.exporter.text = PLAIN.replace(b"} 123456789012", b"} %d" % (joules * 1000))
        return await self.source.read_once()

    @property
    def reason(self) -> Reason:
        return self.source.state.reason


def test_it_is_a_source_of_devices() -> None:
    """As the rest of the observer knows them."""
    source: AcceleratorSource = World().source
    assert source.take() == []


async def test_what_the_exporter_tells_of_the_pod_becomes_samples() -> None:
    """Each once; the state says whose they are."""
    world = World()
    await world.read()
    samples = world.source.take()
    assert [s.device.index for s in samples] == ["0", "1"]
    assert {s.at_ns for s in samples} == {round(1000e9)}
    assert world.source.take() == []
    state = world.source.state
    assert (state.source, state.fresh, state.reason) == (GpuSource.DCGM, True, Reason.GPUS_SEEN)
    assert state.level == "version"


async def test_a_read_that_repeats_the_last_collection_is_no_sample() -> None:
    """The exporter collects every 30 s, and the period is found."""
    world = World()
    for n in range(25):
        await world.read(5.0, joules=1000 + n // 6)
    samples = world.source.take()
    assert [s.at_ns // 10**9 for s in samples if s.device.index == "0"] == [
        1005, 1035, 1065, 1095, 1125,
    ]  # fmt: skip
    assert world.source.state.period_seconds == 30.0


async def test_what_no_device_tells_is_listed() -> None:
    """Nobody has to wonder why it is missing."""
    world = World()
    await world.read()
    assert world.source.state.unsupported == (
        "sm_active", "clock_events", "throttled_seconds", "ecc_errors", "nvlink_bytes",
        "pcie_bytes",
    )  # fmt: skip


async def test_samples_that_nobody_takes_are_kept_up_to_a_number() -> None:
    """The newest."""
    world = World()
    for n in range(KEPT_SAMPLES):
        await world.read(5.0, joules=n)
    samples = world.source.take()
    assert len(samples) == KEPT_SAMPLES
    assert samples[-1].energy_joules == KEPT_SAMPLES - 1


def test_until_it_is_told_of_an_exporter_it_is_starting_and_then_there_is_none() -> None:
    """The operator comes within seconds, if there is one."""
    world = World(told=False)
    assert world.reason is Reason.GPU_SOURCE_STARTING
    world.seconds += UNTOLD_SECONDS
    assert world.reason is Reason.NO_EXPORTER_FOUND


def test_that_there_is_none_is_believed_at_once() -> None:
    """The operator looked."""
    world = World(told=False)
    world.source.tell(None)
    assert world.reason is Reason.NO_EXPORTER_FOUND


def test_told_of_one_it_is_starting_until_the_first_read() -> None:
    """With the address in the sentence."""
    state = World().source.state
    assert state.reason is Reason.GPU_SOURCE_STARTING
    assert ADDRESS in state.message


async def test_an_exporter_that_does_not_answer_is_told_with_its_address() -> None:
    """From the first read on: there are no figures yet that could be fresh."""
    world = World()
    world.exporter.text = DOWN
    assert await world.read() == READ_SECONDS
    state = world.source.state
    assert (state.fresh, state.reason) == (False, Reason.EXPORTER_UNREACHABLE)
    assert state.message == f"The dcgm-exporter at {ADDRESS} cannot be connected to."


async def test_a_failed_read_or_two_do_not_make_figures_old() -> None:
    """They are once three periods passed; the reason is the failure, not the age."""
    world = World()
    await world.read()
    world.exporter.text = DOWN
    await world.read(after=5.0)
    assert world.reason is Reason.GPUS_SEEN
    await world.read(after=STALE_SECONDS)
    assert world.reason is Reason.EXPORTER_UNREACHABLE
    await world.read(joules=7)
    assert world.reason is Reason.GPUS_SEEN


async def test_an_exporter_that_repeats_itself_is_stale() -> None:
    """It answers, but its driver hangs: no counter moves."""
    world = World()
    for _ in range(30):
        await world.read(after=5.0)
    state = world.source.state
    assert (state.fresh, state.reason) == (False, Reason.GPU_STALE)
    assert state.message.endswith("has repeated the same figures for more than 90 s.")
    assert len(world.source.take()) == 2


async def test_a_slow_exporter_is_stale_by_its_own_period() -> None:
    """One that collects every two minutes is fresh for six."""
    world = World()
    await world.read(joules=1)
    await world.read(120.0, joules=2)
    world.seconds += 300
    assert world.source.state.fresh
    world.seconds += 100
    assert not world.source.state.fresh


@pytest.mark.parametrize(("text", "reason", "words"), [
    (answer("dcgm-no-pods"), Reason.NO_ROWS_OF_POD, "names no pod in its rows"),
    (PLAIN.replace(b"llama-0", b"llama-7"), Reason.NO_ROWS_OF_POD, "names other pods"),
    (b"<html>pod</html>\n", Reason.EXPORTER_NOT_UNDERSTOOD, "no metric whose name has DCGM_"),
    (b"", Reason.EXPORTER_NOT_UNDERSTOOD, "no metric whose name has DCGM_"),
    (answer("amd"), Reason.EXPORTER_NOT_UNDERSTOOD, "no metric whose name has DCGM_"),
    (b'DCGM_NEW{namespace="llm",pod="llama-0",UUID="GPU-1"} 1\n',
     Reason.EXPORTER_NOT_UNDERSTOOD, "no figure in them that is known"),
    (b"# " + b"x" * MAX_TEXT_BYTES, Reason.EXPORTER_NOT_UNDERSTOOD, "more than 32 MiB"),
])  # fmt: skip
async def test_an_answer_of_no_use_is_told_with_what_is_wrong_with_it(
    text: bytes, reason: Reason, words: str
) -> None:
    """Each has a sentence of its own."""
    world = World()
    world.exporter.text = text
    await world.read()
    state = world.source.state
    assert (state.fresh, state.reason) == (False, reason)
    assert words in state.message
    assert world.source.take() == []


async def test_an_answer_past_the_bound_is_not_read_to_its_end() -> None:
    """However long it goes on."""
    world = World()
    world.exporter.text = b"# nothing\n" * (MAX_TEXT_BYTES // 5)
    await world.read()
    assert world.exporter.at_once == 0
    assert world.reason is Reason.EXPORTER_NOT_UNDERSTOOD


async def test_others_have_their_turn_between_pieces() -> None:
    """20 MB are read, and whatever else runs is not kept waiting for more than a piece."""
    world = World()
    world.exporter.text = (b'DCGM_A{namespace="llm",pod="x",n="1"} 1\n' * 500_000) + PLAIN
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(others())
        pause = await world.read()
        task.cancel()
    assert turns >= len(world.exporter.text) // PIECE_BYTES
    assert world.source.state.fresh
    assert len(world.exporter.text) > LARGE_BYTES
    assert pause == LARGE_READ_SECONDS


@pytest.mark.parametrize(("wanted", "kind", "source"), [
    (GpuSource.AUTO, "dcgm", GpuSource.DCGM),
    (GpuSource.AUTO, "amd", GpuSource.AMD),
    (GpuSource.DCGM, "dcgm", GpuSource.DCGM),
    (GpuSource.AMD, "amd", GpuSource.AMD),
])  # fmt: skip
async def test_the_exporter_that_is_wanted_is_read(
    wanted: GpuSource, kind: str, source: GpuSource
) -> None:
    """Auto takes what it is told of."""
    world = World(wanted, told=False)
    world.exporter.text = answer("amd" if kind == "amd" else "dcgm-plain")
    world.source.tell(kind, ADDRESS)
    await world.read()
    assert (world.source.state.source, world.reason) == (source, Reason.GPUS_SEEN)
    assert world.exporter.asked == [ADDRESS]


@pytest.mark.parametrize(("wanted", "kind", "address"), [
    (GpuSource.DCGM, "amd", ADDRESS),
    (GpuSource.AMD, "dcgm", ADDRESS),
    (GpuSource.AUTO, "tpu", ADDRESS),
    (GpuSource.AUTO, "dcgm", ""),
    (GpuSource.AUTO, "dcgm", "198.51.100.7:9400/../admin?x"),
    (GpuSource.AUTO, "dcgm", "user@198.51.100.7:9400"),
    (GpuSource.AUTO, "dcgm", "198.51.100.7"),
])  # fmt: skip
async def test_what_is_not_wanted_or_no_address_is_not_read(
    wanted: GpuSource, kind: str, address: str
) -> None:
    """It is as if there were none."""
    world = World(wanted, told=False)
    world.source.tell(kind, address)
    await world.read()
    assert world.exporter.asked == []
    assert (world.source.state.source, world.reason) == (wanted, Reason.NO_EXPORTER_FOUND)


async def test_to_be_told_the_same_again_changes_nothing() -> None:
    """The operator says it every few seconds."""
    world = World()
    await world.read()
    world.source.tell("dcgm", ADDRESS)
    await world.read(after=5.0)
    assert len(world.source.take()) == 2


async def test_another_address_is_another_exporter() -> None:
    """It is read at once, and nothing is known of it before."""
    world = World()
    await world.read()
    world.source.tell("dcgm", "[2001:db8::7]:9400")
    assert world.reason is Reason.GPU_SOURCE_STARTING
    await world.read()
    assert world.exporter.asked == [ADDRESS, "[2001:db8::7]:9400"]
    assert world.reason is Reason.GPUS_SEEN


@pytest.mark.parametrize("text", [PLAIN, DOWN])
async def test_an_answer_of_an_exporter_that_is_no_more_is_dropped(
    text: bytes | Exception,
) -> None:
    """It was told otherwise while the answer was under way."""
    world = World()
    world.exporter.text = text
    world.exporter.meanwhile = lambda: world.source.tell("dcgm", "198.51.100.8:9400")
    await world.read()
    assert world.source.take() == []
    assert world.reason is Reason.GPU_SOURCE_STARTING


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a condition of the code under test
            await asyncio.sleep(0.001)


async def turns() -> None:
    """Let tasks go as far as they can: a source that is told of nobody has no timer to wait for."""
    for _ in range(50):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(source: ExporterSource) -> AsyncGenerator[None, None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run())
        try:
            yield
        finally:
            task.cancel()


async def test_it_reads_again_and_again_one_at_a_time() -> None:
    """As long as it is told of an exporter; when told of none it stops, and begins anew."""
    exporter = Scripted()
    source = ExporterSource(NAMESPACE, POD, GpuSource.AUTO, exporter, every=0.001)
    async with running(source):
        await turns()
        assert exporter.asked == []
        source.tell("dcgm", ADDRESS)
        await until(lambda: len(exporter.asked) >= 5)
        source.tell(None)
        await until(lambda: exporter.at_once == 0)
        asked = len(exporter.asked)
        await turns()
        assert len(exporter.asked) == asked
        source.tell("dcgm", ADDRESS)
        await until(lambda: len(exporter.asked) > asked)
    assert exporter.most_at_once == 1


async def test_failures_do_not_end_it() -> None:
    """The exporter comes back, and the figures with it."""
    exporter = Scripted(DOWN)
    source = ExporterSource(NAMESPACE, POD, GpuSource.AUTO, exporter, every=0.001)
    source.tell("dcgm", ADDRESS)
    async with running(source):
        await until(lambda: len(exporter.asked) >= 3)
        assert source.state.reason is Reason.EXPORTER_UNREACHABLE
        exporter.text = PLAIN
        await until(lambda: source.state.fresh)


async def test_a_new_exporter_is_not_kept_waiting_for_the_pause() -> None:
    """The old one was large, and its pause is long."""
    exporter = Scripted()
    source = ExporterSource(NAMESPACE, POD, GpuSource.AUTO, exporter, every=3600)
    source.tell("dcgm", ADDRESS)
    async with running(source):
        await until(lambda: exporter.asked == [ADDRESS])
        source.tell("dcgm", "198.51.100.8:9400")
        await until(lambda: len(exporter.asked) == 2)


async def test_the_pods_of_a_node_do_not_stay_in_step() -> None:
    """The pause is longer or shorter by chance, by a tenth at most."""
    times: list[float] = []
    chances = cycle([0.0, 0.5, 1.0])
    exporter = Scripted()
    source = ExporterSource(
        NAMESPACE, POD, GpuSource.AUTO, exporter, every=0.2, chance=lambda: next(chances)
    )
    exporter.meanwhile = lambda: times.append(asyncio.get_running_loop().time())
    source.tell("dcgm", ADDRESS)
    async with running(source):
        await until(lambda: len(times) >= 4)
    for (begin, end), least in zip(pairwise(times[:4]), [0.18, 0.2, 0.22], strict=True):
        assert end - begin >= least - 0.001


async def test_a_real_exporter_is_read_over_a_real_connection() -> None:
    """All parts together: the bytes of a server become samples of this pod."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + PLAIN)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with http_exporter_client(30) as client:
        source = ExporterSource(NAMESPACE, POD, GpuSource.AUTO, client)
        source.tell("dcgm", f"127.0.0.1:{port}")
        await source.read_once()
        server.close()
        assert [s.device.index for s in source.take()] == ["0", "1"]
        await source.read_once()  # it is gone
        assert source.state.reason is Reason.GPUS_SEEN

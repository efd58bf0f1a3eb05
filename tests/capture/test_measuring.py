"""When the observer hands its metrics over: as often as a sink wants them, and harming nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from observed import Kept, pipeline_of
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidelight_contract.config import SidecarConfig
from sidelight_contract.export import ExportSettings, OtlpDialect, OtlpSinkSettings
from sidelight_sidecar.observer.capture import measuring
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.observer.capture.measuring import Measuring
from sidelight_sidecar.observer.pipeline import Pipeline
from sidelight_sidecar.records.handover import to_capture
from sidelight_sidecar.records.metrics import Snapshot


def sink(seconds: float, **more: object) -> OtlpSinkSettings:
    settings = {"metrics": True, "metrics_seconds": seconds, **more}
    return OtlpSinkSettings(name="otlp", endpoint="http://x", **settings)  # type: ignore[arg-type]


def wanted_by(*sinks: OtlpSinkSettings) -> SidecarConfig:
    return SidecarConfig(version=1, export=ExportSettings(list(sinks)))


class Child(CaptureChild):
    """Keeps what it is given, while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []
        self.is_there = True
        self.looks = 0

    @property
    def running(self) -> bool:
        self.looks += 1
        return self.is_there

    def pass_on(self, message: bytes) -> bool:
        self.given.append(message)
        return True

    async def until_given(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.given) < count:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.01)

    async def until_looked_at(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.looks < count:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.01)


@asynccontextmanager
async def measured(pipeline: Pipeline, child: Child) -> AsyncIterator[Measuring]:
    made = Measuring(pipeline, child)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        yield made
        task.cancel()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the configuration."""
    monkeypatch.setattr(measuring, "LOOK_SECONDS", 0.01)


async def test_it_is_as_often_as_the_sink_that_wants_them_most_often():
    """Each snapshot is newer than the one before, since the same beginning."""
    pipeline, child = pipeline_of(Kept()), Child()
    pipeline.reconfigure(wanted_by(sink(3600), sink(0.05)))
    async with measured(pipeline, child) as made:
        assert made.seconds == 0.05
        await child.until_given(3)
    read = [message for given in child.given for message in to_capture().feed(given)]
    times = [one.unix_ns for one in read if isinstance(one, Snapshot)]
    assert len(times) == len(read)
    assert times == sorted(set(times))
    assert len({one.start_unix_ns for one in read if isinstance(one, Snapshot)}) == 1


async def test_nothing_is_handed_over_that_nobody_wants_and_a_wish_is_heard_while_it_runs():
    """Not to a process that is not there, either."""
    pipeline, child = pipeline_of(Kept()), Child()
    for config in (
        wanted_by(),
        wanted_by(sink(0.01, metrics=False)),
        wanted_by(sink(0.01, dialect=OtlpDialect.LANGFUSE)),
    ):
        pipeline.reconfigure(config)
        assert Measuring(pipeline, child).message() == b""
    async with measured(pipeline, child):
        child.is_there = False
        pipeline.reconfigure(wanted_by(sink(0.01)))
        await child.until_looked_at(3)
        assert not child.given
        child.is_there = True
        await child.until_given(2)


class Broken(Collector):
    """A collector with a fault."""

    def collect(self) -> Iterator[Metric]:
        raise ValueError("words of somebody")


async def test_a_fault_is_told_without_its_words_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
):
    """The observer goes on."""
    pipeline, child = pipeline_of(Kept()), Child()
    pipeline.reconfigure(wanted_by(sink(0.01)))
    broken = Broken()
    pipeline.metrics.registry._collector_to_names[broken] = []
    async with measured(pipeline, child):
        await child.until_given(2)
        assert set(child.given) == {b""}
        del pipeline.metrics.registry._collector_to_names[broken]
        had = len(child.given)
        await child.until_given(had + 2)
    assert child.given[-1]
    assert {record.message for record in caplog.records} == {"metrics_not_sent"}
    assert "words" not in caplog.text


async def test_what_is_too_large_is_not_handed_over_and_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """It would take the room of exchanges."""
    monkeypatch.setattr(measuring, "MAX_BYTES", 100)
    pipeline, child = pipeline_of(Kept()), Child()
    pipeline.reconfigure(wanted_by(sink(0.01)))
    assert Measuring(pipeline, child).message() == b""
    assert [record.message for record in caplog.records] == ["metrics_too_large"]


def test_the_last_words_are_the_metrics():
    """Where a sink wants them."""
    pipeline, child = pipeline_of(Kept()), Child()
    Measuring(pipeline, child)
    assert child.last_words() == b""
    pipeline.reconfigure(wanted_by(sink(3600)))
    (snapshot,) = to_capture().feed(child.last_words())
    assert isinstance(snapshot, Snapshot)

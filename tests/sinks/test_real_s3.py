"""Objects in a real S3 server: all arrive, whatever happens to it or to the secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, KEY, SECRET, S3Server, s3_server
from shipping import BEGAN, entries, record, shipping, write_secret

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import ExportSettings, ObjectStoreSinkSettings
from sidelight_sidecar.capture.ship.policy import Outcome, ShipSettings
from sidelight_sidecar.capture.sinks.object_store import ObjectStoreSink
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.records.handover import Captured, Payload, Settings
from sidelight_sidecar.records.record import Origin, decode_record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first of all builds the server

HOW = ShipSettings(most=50, linger_seconds=0.1, first_seconds=0.1, most_seconds=0.5)
PLACE = "logs/namespace=ml/model=chat/version=v1/date=2025-11-24/hour=16/20251124T160000Z-"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    write_secret(folder, access_key_id=KEY, secret_access_key=SECRET + "\n")
    return folder


def settings_of(server: S3Server, prefix: str) -> ObjectStoreSinkSettings:
    url = f"s3://{BUCKET}/{prefix}"
    return ObjectStoreSinkSettings(name="store", url=url, endpoint=server.endpoint)


def make(server: S3Server, secret: Path, prefix: str) -> ObjectStoreSink:
    return ObjectStoreSink("store", settings_of(server, prefix), secret)


def numbers(server: S3Server, prefix: str) -> list[int]:
    """Of the records in all objects below a prefix."""
    found = server.objects()
    return sorted(
        int(decode_record(line).id, 16)
        for name in found
        if name.startswith(prefix + "/")
        for line in found[name]
    )


async def test_every_record_arrives_once_line_by_line(server: S3Server, secret: Path):
    """In objects of fifty, in the place of its namespace, model, version and hour."""
    async with shipping(make(server, secret, "logs"), HOW) as world:
        world.add(range(220))
    assert numbers(server, "logs") == list(range(220))
    found = {name: lines for name, lines in server.objects().items() if name.startswith("logs/")}
    assert all(name.startswith(PLACE) and name.endswith(".jsonl.zst") for name in found)
    assert sorted(map(len, found.values())) == [20, 50, 50, 50, 50]
    assert json.loads(found[min(found)][0])["origin"]["pod"] == "chat-0"


async def test_nothing_is_lost_when_the_server_dies_in_the_middle(server: S3Server, secret: Path):
    """It is killed, told as down, and started again."""
    async with shipping(make(server, secret, "killed"), HOW) as world:
        world.add(range(100))
        await world.until(lambda: world.shipper.delivered == 100, "a hundred records")
        server.stop()
        world.add(range(100, 300))
        await world.until(lambda: world.shipper.down, "it is told as down")
        assert world.shipper.why == "no connection"
        server.start()
    assert sorted(set(numbers(server, "killed"))) == list(range(300))


async def test_a_wrong_secret_is_told_and_the_right_one_goes_on(server: S3Server, secret: Path):
    """No restart: it is read again; and neither key is in what is told."""
    write_secret(secret, access_key_id=KEY, secret_access_key="wrong-secret")
    async with shipping(make(server, secret, "rotated"), HOW) as world:
        world.add(range(10))
        await world.until(lambda: world.shipper.down, "it is told as down")
        assert world.shipper.why == "not allowed, or wrong secret (status 403)"
        assert numbers(server, "rotated") == []
        write_secret(secret, access_key_id=KEY, secret_access_key=SECRET)
        await world.until(lambda: world.shipper.delivered == 10, "it goes on")
        assert world.shipper.why == ""
        write_secret(secret, access_key_id=KEY, secret_access_key="wrong-again")
        world.add(range(10, 20))
        await world.until(lambda: bool(world.shipper.why), "a wrong secret counts at once")
        write_secret(secret, access_key_id=KEY, secret_access_key=SECRET)
    assert numbers(server, "rotated") == list(range(20))


async def test_hostile_names_stay_in_their_place(server: S3Server, secret: Path):
    """One object each, below the prefix, whatever namespace and version are called."""
    names = ["../..", "/etc", "a/b=c", "..", ".", "%2e%2e%2f", "é\u0000\n", "x" * 5000, "a?b#c"]
    records = [
        record(number, Origin(namespace=name, observed_model=name, version=name))
        for number, name in enumerate(names)
    ]
    sink = make(server, secret, "hostile/inner")
    assert (await sink.send(entries(records))).outcome is Outcome.DELIVERED
    assert (await sink.send(entries(records))).outcome is Outcome.DELIVERED  # the same objects
    assert numbers(server, "hostile/inner") == list(range(len(names)))
    places = [name.split("/") for name in server.objects() if "hostile" in name]
    assert {len(place) for place in places} == {8}


async def test_hours_are_places_of_their_own(server: S3Server, secret: Path):
    """A batch over an hour's end is two objects."""
    records = [record(1, start=BEGAN + 3599), record(2, start=BEGAN + 3600)]
    await make(server, secret, "hours").send(entries(records))
    places = [name.split("/")[-2] for name in server.objects() if name.startswith("hours/")]
    assert places == ["hour=16", "hour=17"]


async def test_a_bucket_that_is_not_there_is_said(server: S3Server, secret: Path):
    """And nothing is given up."""
    settings = ObjectStoreSinkSettings(name="store", url="s3://nowhere", endpoint=server.endpoint)
    delivery = await ObjectStoreSink("store", settings, secret).send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, "no such bucket or account (status 404)")


async def test_a_whole_process_writes_what_waits_when_its_pod_ends(
    server: S3Server, secret: Path, tmp_path: Path
):
    """As the observer starts it, within its memory: no object was full, nobody waited a minute."""
    export = ExportSettings([settings_of(server, "process")])
    places = ("--spool", str(tmp_path / "spool"), "--secrets", str(secret.parent))
    child = CaptureChild(*places)
    child.configure(Settings(CaptureSettings(), export, Origin()))
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        task = group.create_task(child.run())
        while not child.state.sinks:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)
        for number in range(40):
            assert child.give(Captured(decode_record(record(number)), Payload(), Payload()))
        while child.state.records < 40:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)
        assert numbers(server, "process") == []
        task.cancel()
    assert numbers(server, "process") == list(range(40))

"""Messages in a real Kafka broker: all arrive, whatever happens to it or to the secret."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kafka_broker import MAX_MESSAGE_BYTES, USERS, Broker, broker
from shipping import entries, record, shipping, write_secret

from sidelight_contract.capture import CaptureSettings
from sidelight_contract.export import ExportSettings, KafkaSinkSettings
from sidelight_sidecar.capture.ship.policy import Outcome, ShipSettings
from sidelight_sidecar.capture.sinks import kafka, kafka_producer
from sidelight_sidecar.capture.sinks.kafka import KafkaSink
from sidelight_sidecar.observer.capture.child import CaptureChild
from sidelight_sidecar.records.handover import Captured, Payload, Settings
from sidelight_sidecar.records.record import Origin, decode_record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first of all fetches the broker

HOW = ShipSettings(most=50, linger_seconds=0.1, first_seconds=0.1, most_seconds=0.5)
RIGHT = {"username": "sidelight", "password": USERS["sidelight"]}
PARTITIONS = 3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.fixture
def secret(running: Broker, tmp_path: Path) -> Path:
    write_secret(tmp_path / "kafka", ca__crt=running.ca, **RIGHT)
    return tmp_path / "kafka"


def make(running: Broker, secret: Path, topic: str, sasl: str = "SCRAM-SHA-256") -> KafkaSink:
    settings = KafkaSinkSettings(
        name="kafka", brokers=[running.secure], topic=topic, tls=True, sasl=sasl
    )
    return KafkaSink("kafka", settings, secret)


@asynccontextmanager
async def admin(running: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    """Of the plain listener, where everything is allowed."""
    client = AIOKafkaAdminClient(bootstrap_servers=running.plain)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def new_topic(running: Broker, name: str) -> str:
    async with admin(running) as client:
        await client.create_topics([NewTopic(name, PARTITIONS, 1)])
    return name


async def messages(running: Broker, topic: str) -> list:
    """All that are there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=running.plain)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found = []
        async with asyncio.timeout(30):
            while any([await consumer.position(place) < ends[place] for place in places]):
                batches = await consumer.getmany(timeout_ms=200)
                found += [message for batch in batches.values() for message in batch]
        return found
    finally:
        await consumer.stop()


async def test_every_record_arrives_once_with_its_key_and_headers(running: Broker, secret: Path):
    """Over all partitions; a request's records are in one, by its key. Nothing goes on after."""
    topic = await new_topic(running, "all")
    async with shipping(make(running, secret, topic), HOW) as world:
        world.add(range(330))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    found = await messages(running, topic)
    assert sorted(message.value for message in found) == sorted(map(record, range(330)))
    assert {message.partition for message in found} == set(range(PARTITIONS))
    (seventh,) = [message for message in found if message.key == b"r-7"]
    assert seventh.headers == (
        ("content-type", b"application/json"),
        ("record-id", f"{7:032x}".encode()),
    )


async def test_nothing_is_lost_when_the_broker_dies_in_the_middle(
    running: Broker, secret: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It is killed, told as down, and started again; what it had acknowledged is there once. The
    library, which would log each of its tries, says nothing.
    """
    monkeypatch.setattr(kafka, "SEND_SECONDS", 3.0)
    topic = await new_topic(running, "killed")
    async with shipping(make(running, secret, topic), HOW) as world:
        world.add(range(100))
        await world.until(lambda: world.shipper.delivered == 100, "a hundred records")
        running.stop()
        try:
            world.add(range(100, 300))
            await world.until(lambda: world.shipper.down, "it is told as down")
            assert world.shipper.why == "no connection"
        finally:
            await asyncio.to_thread(running.start)
    assert [one for one in caplog.records if one.name.startswith("aiokafka")] == []
    counted = Counter(message.value for message in await messages(running, topic))
    assert counted.keys() == set(map(record, range(300)))
    assert all(counted[record(number)] == 1 for number in range(100))


@pytest.mark.parametrize("sasl", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_wrong_secret_is_told_and_the_right_one_goes_on(
    running: Broker, secret: Path, sasl: str
):
    """No restart: it is read again, and counts for a producer that was let in, too."""
    topic = await new_topic(running, f"rotated-{sasl}")
    wrong = {**RIGHT, "password": "wrong-secret"}
    write_secret(secret, ca__crt=running.ca, **wrong)
    async with shipping(make(running, secret, topic, sasl), HOW) as world:
        world.add(range(10))
        await world.until(lambda: world.shipper.down, "it is told as down")
        assert world.shipper.why == "not authenticated"
        write_secret(secret, ca__crt=running.ca, **RIGHT)
        await world.until(lambda: world.shipper.delivered == 10, "it goes on")
        write_secret(secret, ca__crt=running.ca, **wrong)
        world.add(range(10, 20))
        await world.until(lambda: bool(world.shipper.why), "a wrong secret counts at once")
        write_secret(secret, ca__crt=running.ca, **RIGHT)
    found = [message.value for message in await messages(running, topic)]
    assert sorted(found) == sorted(map(record, range(20)))


async def test_what_is_too_large_is_refused_alone(running: Broker, secret: Path):
    """The broker says what is; all others of the batch are there, once, and in one go."""
    topic = await new_topic(running, "large")
    noise = random.Random(7).randbytes(MAX_MESSAGE_BYTES).hex()
    batch = [record(number, text=noise if number in (3, 7) else "") for number in range(20)]
    sink = make(running, secret, topic)
    try:
        delivery = await sink.send(entries(batch))
        assert delivery == (Outcome.DELIVERED, "too large", None, 2)
        assert (await sink.send(entries([record(20)]))).why == ""
    finally:
        await sink.close()
    found = [message.key for message in await messages(running, topic)]
    assert sorted(found) == sorted(f"r-{n}".encode() for n in range(21) if n not in (3, 7))


async def test_a_large_record_that_shrinks_is_not_too_large(running: Broker, secret: Path):
    """The broker counts what is sent, which is compressed."""
    topic = await new_topic(running, "shrinks")
    sink = make(running, secret, topic)
    try:
        large = record(1, text="a word " * MAX_MESSAGE_BYTES)
        assert (await sink.send(entries([large]))).outcome is Outcome.DELIVERED
    finally:
        await sink.close()
    assert [message.value for message in await messages(running, topic)] == [large]


async def test_a_topic_is_not_made_by_us(
    running: Broker, secret: Path, monkeypatch: pytest.MonkeyPatch
):
    """Though this broker makes one for whoever asks."""
    monkeypatch.setattr(kafka_producer, "REQUEST_SECONDS", 1.0)
    delivery = await make(running, secret, "nowhere").send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, "no such topic")
    async with admin(running) as client:
        assert "nowhere" not in await client.list_topics()


async def test_who_may_not_write_is_told_so(running: Broker, secret: Path):
    """A user that has no rights; and nothing is given up."""
    topic = await new_topic(running, "forbidden")
    stranger = {"username": "stranger", "password": USERS["stranger"]}
    write_secret(secret, ca__crt=running.ca, **stranger)
    delivery = await make(running, secret, topic, "PLAIN").send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, "not authorised")


@pytest.mark.parametrize(
    ("changed", "sasl", "why"),
    [
        ({"ca__crt": None}, "PLAIN", "certificate not trusted"),
        ({}, "SCRAM-SHA-512", "mechanism not known to the broker"),
    ],
)
async def test_a_broker_that_we_do_not_agree_with_is_told(
    running: Broker, secret: Path, changed: dict[str, None], sasl: str, why: str
):
    """No password goes to who has a certificate of somebody else."""
    values = {"ca__crt": running.ca, **RIGHT}
    write_secret(secret, **{key: value for key, value in values.items() if key not in changed})
    delivery = await make(running, secret, "all", sasl).send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, why)


async def test_a_certificate_may_stand_for_a_password(running: Broker, tmp_path: Path):
    """Of the Secret, as `kubernetes.io/tls` has it; without one nobody is let in."""
    topic = await new_topic(running, "mutual")
    settings = KafkaSinkSettings(name="k", brokers=[running.mutual], topic=topic, tls=True)
    write_secret(tmp_path / "k", ca__crt=running.ca)
    sink = KafkaSink("k", settings, tmp_path / "k")
    try:
        assert (await sink.send(entries([record(1)]))).outcome is Outcome.LATER
        certificate, key = running.client
        write_secret(tmp_path / "k", ca__crt=running.ca, tls__crt=certificate, tls__key=key)
        assert await sink.send(entries([record(1)])) == (Outcome.DELIVERED, "", None, 0)
    finally:
        await sink.close()
    assert len(await messages(running, topic)) == 1


async def test_a_whole_process_sends_what_waits_when_its_pod_ends(
    running: Broker, secret: Path, tmp_path: Path
):
    """As the observer starts it; it closes its connections, and has ended with the block."""
    topic = await new_topic(running, "process")
    sink = KafkaSinkSettings(
        name="kafka", brokers=[running.secure], topic=topic, tls=True, sasl="SCRAM-SHA-256"
    )
    child = CaptureChild("--spool", str(tmp_path / "spool"), "--secrets", str(secret.parent))
    child.configure(Settings(CaptureSettings(), ExportSettings([sink]), Origin()))
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        task = group.create_task(child.run())
        while not child.state.sinks:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)
        for number in range(40):
            assert child.give(Captured(decode_record(record(number)), Payload(), Payload()))
        task.cancel()
    found = [message.value for message in await messages(running, topic)]
    assert sorted(found) == sorted(map(record, range(40)))
    assert child.restarts == 0

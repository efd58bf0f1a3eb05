"""The Kafka sink without a broker: nobody there, somebody who says nothing, settings."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from shipping import entries, record, write_secret

from sidelight_contract.export import KafkaSinkSettings
from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks import kafka
from sidelight_sidecar.capture.sinks.kafka import KafkaSink


def sink(folder: Path, *brokers: str, **settings: object) -> KafkaSink:
    """One whose Secret is in `folder`."""
    made = KafkaSinkSettings(name="kafka", brokers=list(brokers), topic="t", **settings)
    return KafkaSink("kafka", made, folder / "secret")


@pytest.mark.parametrize(
    ("broker", "why"),
    [
        ("127.0.0.1:1", "no connection"),
        ("[::1]:1", "no connection"),
        ("127.0.0.1", "a broker is not host:port"),
        ("127.0.0.1:port", "a broker is not host:port"),
    ],
)
async def test_nobody_there_is_told_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broker: str, why: str
):
    """The library would log an error for each try."""
    with caplog.at_level(logging.DEBUG):
        assert (await sink(tmp_path, broker).send(entries([record(1)])))[:2] == (Outcome.LATER, why)
    assert [one for one in caplog.records if one.name.startswith("aiokafka")] == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_somebody_who_says_nothing_is_left_after_the_time_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It takes the connection, and that is all; the connection does not stay."""
    monkeypatch.setattr(kafka, "SEND_SECONDS", 0.2)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        delivery = await sink(tmp_path, f"127.0.0.1:{port}").send(entries([record(1)]))
        assert delivery[:2] == (Outcome.LATER, "no answer in time")
        async with asyncio.timeout(10):
            await left.wait()


@pytest.mark.parametrize("values", [{}, {"username": "ada"}, {"username": "ada", "password": ""}])
async def test_half_a_secret_is_told_before_anybody_is_asked(
    tmp_path: Path, values: dict[str, str]
):
    """Both keys, or no connection."""
    write_secret(tmp_path / "secret", **values)
    delivery = await sink(tmp_path, "127.0.0.1:1", sasl="PLAIN").send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, "secret without username and password")


async def test_certificates_that_are_none_are_told_without_a_word_of_them(tmp_path: Path):
    """The reason is ours."""
    write_secret(tmp_path / "secret", ca__crt="hush")
    delivery = await sink(tmp_path, "127.0.0.1:1", tls=True).send(entries([record(1)]))
    assert delivery[:2] == (Outcome.LATER, "secret's certificates cannot be used")


def test_batches_are_compressed_with_the_least_effort():
    """By what gzip says of itself in its ninth byte; a batch's own heading has 61."""
    made = DefaultRecordBatchBuilder(
        2, DefaultRecordBatch.CODEC_GZIP, is_transactional=False,
        producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=1 << 20,
    )  # fmt: skip
    made.append(0, None, b"key", b"a word " * 1000, [])
    compressed = bytes(made.build()[61:])
    assert compressed[:2] == b"\x1f\x8b"
    assert compressed[8] == 4

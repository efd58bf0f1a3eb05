"""Events as KServe's logger posts them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from receiver import ANSWER, REQUEST, Receiver, chat, entries, off, receiver

from sidelight_contract.export import CloudEventsSinkSettings
from sidelight_sidecar.capture.ship.policy import Delivery, Outcome
from sidelight_sidecar.capture.sinks.cloudevents import CloudEventsSink, events_of
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.records.record import Body, Origin, Record

SETTINGS = CloudEventsSinkSettings(name="events", url="http://127.0.0.1:1/")


async def sent(server: Receiver, *records: Record, secrets: Path = Path("/nowhere")) -> Delivery:
    """What came of one batch."""
    settings = msgspec.structs.replace(SETTINGS, url=server.url)
    sink = CloudEventsSink(settings, CredentialsReader(secrets))
    try:
        return await sink.send(entries(*records))
    finally:
        await sink.close()


async def test_a_request_and_its_answer_are_two_events_as_kserves_logger_has_them():
    """Every attribute is a header, both have one id, and the body is the payload alone."""
    async with receiver() as server:
        assert await sent(server, chat()) == (Outcome.DELIVERED, "", None, 0)
        asked, said = server.posted
    attributes = {k.lower(): v for k, v in asked.headers.items() if k.lower().startswith("ce-")}
    assert attributes == {
        "ce-specversion": "1.0",
        "ce-id": "r-1",
        "ce-type": "org.kubeflow.serving.inference.request",
        "ce-source": "chat-0",
        "ce-time": "2025-11-24T16:00:00.123456789Z",
        "ce-inferenceservicename": "chat",
        "ce-namespace": "ml",
        "ce-component": "predictor",
        "ce-endpoint": "",
        "ce-metadata": "{}",
    }
    assert asked.headers["Content-Type"] == "application/json"
    assert said.headers["Ce-Type"] == "org.kubeflow.serving.inference.response"
    assert said.headers["Ce-Id"] == "r-1"
    assert said.headers["Ce-Time"] == "2025-11-24T16:00:02.623456789Z"
    assert (msgspec.json.decode(asked.body), msgspec.json.decode(said.body)) == (REQUEST, ANSWER)


def test_names_of_the_users_own_are_in_the_events():
    """Where KServe's differ from the ObservedModel's."""
    settings = CloudEventsSinkSettings(
        name="events", url="http://127.0.0.1:1/", inference_service="iris",
        component="transformer", endpoint="canary",
    )  # fmt: skip
    asked, _ = events_of(chat(), settings)
    assert asked.headers["ce-inferenceservicename"] == "iris"
    assert asked.headers["ce-component"] == "transformer"
    assert asked.headers["ce-endpoint"] == "canary"


async def test_without_payloads_there_is_no_event_and_the_record_is_counted():
    """Off; another record of the batch has its two."""
    async with receiver() as server:
        assert await sent(server, off(1), chat(2)) == (Outcome.DELIVERED, "no payload", None, 1)
        assert [one.headers["Ce-Id"] for one in server.posted] == ["r-2", "r-2"]


@pytest.mark.parametrize(("code", "count"), [(200, 2), (499, 2), (400, 1), (503, 1), (0, 1)])
def test_an_answer_is_an_event_where_kserve_makes_one(code: int, count: int):
    """It posts answers of 200 alone; one whose client left began with 200."""
    assert len(list(events_of(chat(code=code), SETTINGS))) == count


def test_plain_text_is_sent_as_it_is():
    """Not as a JSON string."""
    text = Body("text/plain", 5, msgspec.Raw(b'"caf\xc3\xa9"'), text=True)
    (event,) = events_of(chat(request=text, response=Body()), SETTINGS)
    assert event.body == "café".encode()
    assert event.headers["Content-Type"] == "text/plain"


def test_a_request_id_can_add_no_header():
    """It is the client's own word: what no header holds is escaped as the binding says."""
    (event, *_) = events_of(chat(request_id='a b"%\r\nx: é'), SETTINGS)
    assert event.headers["ce-id"] == "a%20b%22%25%0D%0Ax:%20%C3%A9"


async def test_what_went_is_not_posted_again_when_the_sink_fails_later():
    """The third record meets 503: only it and what follows comes again."""
    settings = msgspec.structs.replace(SETTINGS)
    batch = entries(*[chat(number) for number in range(20)])
    async with receiver() as server:
        settings = msgspec.structs.replace(SETTINGS, url=server.url)
        sink = CloudEventsSink(settings, CredentialsReader(Path("/nowhere")))
        late = web.Response(status=503, headers={"Retry-After": "7"})
        server.answers = [web.Response() for _ in range(20)] + [late]
        assert await sink.send(batch) == (Outcome.LATER, "status 503", 7.0, 0)
        first = len(server.posted)
        assert await sink.send(batch) == (Outcome.DELIVERED, "", None, 0)
        again = {one.headers["Ce-Id"] for one in server.posted[first:]}
        assert "r-0" not in again
        assert {one.headers["Ce-Id"] for one in server.posted} == {f"r-{n}" for n in range(20)}
        assert await sink.send(batch) == (Outcome.DELIVERED, "", None, 0)
        await sink.close()


async def test_a_refused_record_does_not_hold_up_the_others():
    """400 for one: counted, its answer not posted, the next ones are."""
    async with receiver() as server:
        server.answers = [web.Response(status=400)]
        only_one = await sent(server, chat(1))
        assert only_one == (Outcome.DELIVERED, "status 400", None, 1)
        assert len(server.posted) == 1
        assert await sent(server, chat(2), chat(3)) == (Outcome.DELIVERED, "", None, 0)


async def test_the_secret_is_sent_and_a_new_one_counts_at_once(tmp_path: Path):
    """A token, and a header of its own."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "X-Tenant").write_text("ml")
    async with receiver() as server:
        sink = CloudEventsSink(
            msgspec.structs.replace(SETTINGS, url=server.url), CredentialsReader(tmp_path)
        )
        await sink.send(entries(chat(1)))
        (tmp_path / "token").write_text("second")
        await sink.send(entries(chat(1)))
        await sink.close()
        sent_tokens = [one.headers["Authorization"] for one in server.posted]
        assert sent_tokens == ["Bearer first"] * 2 + ["Bearer second"] * 2
        assert {one.headers["X-Tenant"] for one in server.posted} == {"ml"}


async def test_a_secret_that_cannot_be_used_is_waited_for_and_its_value_not_told(tmp_path: Path):
    """Nothing is posted without it."""
    (tmp_path / "token").write_text("se\x00cret")
    async with receiver() as server:
        delivery = await sent(server, chat(), secrets=tmp_path)
        assert delivery == (Outcome.LATER, "secret's token can be no header", None, 0)
        assert server.posted == []


async def test_a_line_that_is_no_record_is_refused():
    """A spool of another release."""
    async with receiver() as server:
        settings = msgspec.structs.replace(SETTINGS, url=server.url)
        sink = CloudEventsSink(settings, CredentialsReader(Path("/nowhere")))
        (entry,) = entries(chat())
        assert (await sink.send([entry._replace(record=b"{}")])).refused == 1
        await sink.close()


def test_an_observer_that_knows_no_pod_still_has_a_source():
    """CloudEvents asks for one that is not empty."""
    (event, *_) = events_of(chat(origin=Origin()), SETTINGS)
    assert event.headers["ce-source"] == "sidelight"

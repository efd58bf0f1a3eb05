"""What a tap in an ephemeral container knows without files, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from observed import Kept, pipeline_of

from sidelight_contract.capture import CaptureSettings, Payloads
from sidelight_contract.config import (
    MAX_CONFIG_BYTES,
    ConfigError,
    SidecarConfig,
    encode_config,
)
from sidelight_contract.slo import SloSettings
from sidelight_contract.summary import RelayCounters, decode_summary
from sidelight_sidecar.observer.admin import Admin
from sidelight_sidecar.observer.attached import (
    InlineConfig,
    Lease,
    TokenHash,
    end_in_time,
    leave_word,
)
from sidelight_sidecar.observer.files import TokenFile
from sidelight_sidecar.observer.metrics.tap import TAP

TOKEN = "one that nobody guesses"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()
OTHER_HASH = hashlib.sha256(b"other").hexdigest()


class Clock:
    """Seconds as told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_known_by_its_hash_alone() -> None:
    """The token is accepted; its hash, which anybody may read in the pod, is not."""
    known = TokenHash(HASH)
    assert known.accepts(TOKEN.encode())
    assert not known.accepts(HASH.encode())
    assert not known.accepts(b"")
    both = TokenHash(f"{HASH},{OTHER_HASH}")
    assert both.accepts(TOKEN.encode())
    assert both.accepts(b"other")


@pytest.mark.parametrize("text", ["", "ab", f"{HASH},", f"{HASH}{HASH}", ",".join([HASH] * 5)])
def test_what_is_no_hash_is_refused_and_the_old_one_stays(text: str) -> None:
    """Nobody is locked out by a mistake."""
    known = TokenHash(HASH)
    with pytest.raises(ValueError, match=r"."):
        known.replace(text)
    assert known.accepts(TOKEN.encode())


def test_the_environments_configuration_is_given_once() -> None:
    """Then nothing new comes; an empty one is none; a bad one is said once."""
    inline = InlineConfig('{"version":1,"revision":"r1"}')
    config = inline.poll()
    assert config is not None
    assert config.revision == "r1"
    assert inline.poll() is None
    assert InlineConfig("").poll() is None
    bad = InlineConfig('{"version":1,"window_seconds":1}')
    with pytest.raises(ConfigError, match=r"environment.*window_seconds"):
        bad.poll()
    assert bad.poll() is None


def test_a_lease_ends_when_nobody_asks() -> None:
    """Each question begins it anew; once over, it stays over."""
    clock = Clock()
    lease = Lease(60, clock)
    clock.now += 59
    lease.renew()
    clock.now += 59
    assert lease.over() == ""
    clock.now += 1
    assert lease.over() == "nobody asked for the summary for 60 s"
    lease.renew()
    assert lease.over() == "nobody asked for the summary for 60 s"


async def test_only_the_token_renews_and_ends_a_lease() -> None:
    """Without it neither a question nor the order to end has an effect."""
    clock = Clock()
    lease = Lease(60, clock)
    admin = Admin(pipeline_of(Kept()), TokenHash(HASH), lease)
    right = {"Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(admin.application())) as client:
        for headers in ({}, {"Authorization": f"Bearer {HASH}"}, {"Authorization": TOKEN}):
            clock.now += 25
            async with client.get("/summary", headers=headers) as response:
                assert response.status == 401
            async with client.post("/end", headers=headers, data="mine") as response:
                assert response.status == 401
        assert lease.over().startswith("nobody asked")

        lease = Lease(60, clock)
        admin = Admin(pipeline_of(Kept()), TokenHash(HASH), lease)
    async with TestClient(TestServer(admin.application())) as client:
        clock.now += 50
        async with client.get("/summary", headers=right) as response:
            assert decode_summary(await response.read()).total == []
        clock.now += 50
        assert lease.over() == ""
        why = "chat no longer\n selects it" + "x" * 2000
        async with client.post("/end", headers=right, data=why) as response:
            assert response.status == 202
        assert lease.over().startswith("chat no longer  selects it")
        assert len(lease.over()) == 300


async def test_who_has_the_token_tells_the_next_one() -> None:
    """Rotation reaches a tap that can mount nothing: both are accepted, then the new one alone."""
    admin = Admin(pipeline_of(Kept()), TokenHash(HASH), Lease(60))
    async with TestClient(TestServer(admin.application())) as client:

        async def put(token: str, body: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            async with client.put("/tokens", headers=headers, data=body) as response:
                return response.status

        assert await put("other", OTHER_HASH) == 401
        assert await put(TOKEN, "nonsense") == 400
        assert await put(TOKEN, f"{OTHER_HASH},{HASH}") == 200
        assert await put(TOKEN, f"{OTHER_HASH},{HASH}") == 200
        assert await put("other", OTHER_HASH) == 200
        assert await put(TOKEN, HASH) == 401


async def test_who_has_the_token_tells_another_configuration() -> None:
    """In force at once, within a file's limits. A bad one is refused and said; the last good one
    stays. Nothing in it decides who may ask.
    """
    pipeline = pipeline_of(Kept(), revision="first")
    admin = Admin(pipeline, TokenHash(HASH), Lease(60), told=InlineConfig(""))

    async with TestClient(TestServer(admin.application())) as client:

        async def put(body: bytes, token: str = TOKEN) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            async with client.put("/config", headers=headers, data=body) as response:
                said = await response.text()
                assert response.status == 200 or "error" in said
                return response.status

        def state() -> tuple[str, str]:
            told = pipeline.summary(1).sidecar
            return told.config_revision, told.config_error

        slo = SloSettings(e2e=2.0)
        config = SidecarConfig(version=1, revision="next", slo=slo, summary_tokens=[OTHER_HASH])
        assert await put(encode_config(config), "other") == 401
        assert state() == ("first", "")
        assert await put(encode_config(config)) == 200
        assert state() == ("next", "")
        assert pipeline.slo.told(1).revision == slo.revision
        assert await put(encode_config(config), "other") == 401

        for bad, why in (
            (b"", "truncated"),
            (b'{"version":1,"window_seconds":1}', "window_seconds"),
            (b'{"version":1,"revision":"x","wider":true}', "wider"),
            (b'{"version":1,"revision":"x"}' + b" " * MAX_CONFIG_BYTES, "are read"),
        ):
            assert await put(bad) == 400
            assert state()[0] == "next"
            assert why in state()[1]
        assert pipeline.config == config
        padding = b" " * (MAX_CONFIG_BYTES - len(encode_config(config)))
        assert await put(encode_config(config) + padding) == 200
        assert state() == ("next", "")


def test_a_token_decides_of_no_payload() -> None:
    """What is kept of them, and where it goes, is as it was attached with, or off: never more."""
    capture = CaptureSettings(payloads=Payloads.REDACTED)
    wider = CaptureSettings(payloads=Payloads.FULL)

    def config(revision: str, capture: CaptureSettings) -> bytes:
        return encode_config(SidecarConfig(version=1, revision=revision, capture=capture))

    inline = InlineConfig(config("first", capture).decode())
    assert inline.poll() is not None
    for told, kept in ((capture, capture), (wider, CaptureSettings()), (capture, capture)):
        found = inline.told(config("next", told))
        assert (found.revision, found.capture) == ("next", kept)
    assert InlineConfig("").told(config("next", capture)).capture == CaptureSettings()


@pytest.mark.parametrize("lease", [None, Lease(60)])
async def test_who_has_a_file_takes_no_other_configuration(lease: Lease | None) -> None:
    """There is one source of it."""
    admin = Admin(pipeline_of(Kept()), TokenHash(HASH), lease)
    async with TestClient(TestServer(admin.application())) as client:
        right = {"Authorization": f"Bearer {TOKEN}"}
        async with client.put("/config", headers=right, data=b'{"version":1}') as response:
            assert response.status == 404


def test_a_lease_needs_a_token() -> None:
    """Else anybody on the machine could end it."""
    with pytest.raises(ValueError, match="hash"):
        Admin(pipeline_of(Kept()), TokenFile(None), Lease(60))


async def test_who_has_no_lease_cannot_be_told_to_end() -> None:
    """A sidecar in the path ends with its pod."""
    admin = Admin(pipeline_of(Kept()), TokenHash(HASH))
    async with TestClient(TestServer(admin.application())) as client:
        right = {"Authorization": f"Bearer {TOKEN}"}
        async with client.post("/end", headers=right) as response:
            assert response.status == 404


async def test_the_end_of_a_lease_ends_the_tap_with_a_word(tmp_path: Path) -> None:
    """In the pod's status, where there is a place for it; without one nothing fails."""
    lease = Lease(60)
    lease.end("told to")
    said: list[str] = []
    async with asyncio.timeout(10):
        await end_in_time(lease, said.append)
    assert said == ["told to"]
    last_words = tmp_path / "termination-log"
    leave_word("told to", last_words)
    assert not last_words.exists()
    last_words.touch()
    leave_word("told to", last_words)
    assert last_words.read_text() == "told to"


def test_each_counter_of_the_tap_is_a_metric_where_there_is_a_tap() -> None:
    """And nothing of it where there is a relay."""
    fields = {name for name in RelayCounters.__struct_fields__ if name.startswith("tap_")}
    assert set(TAP) == fields
    pipeline = pipeline_of(Kept())
    assert b"sidelight_relay_tap_" not in pipeline.exposition()
    pipeline.flows.relay = RelayCounters(tap_packets=7)
    text = pipeline.exposition()
    assert b"sidelight_relay_tap_packets_total 7.0" in text
    assert b"sidelight_relay_tap_packets_dropped_total 0.0" in text

"""Posts that stay where they were meant to go, and what their answers mean."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from receiver import receiver
from tls_world import new_authority, write_serving

from sidelight_sidecar.capture.ship.policy import Outcome
from sidelight_sidecar.capture.sinks.credentials import CredentialsReader
from sidelight_sidecar.capture.sinks.posting import (
    MAX_ANSWER_BYTES,
    Answer,
    Poster,
    PostError,
    retry_after,
)

NOWHERE = CredentialsReader(Path("/nowhere"))


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 202, 204), Outcome.DELIVERED),
        ((408, 425, 429, 500, 502, 503, 504, 599), Outcome.LATER),
        ((301, 307, 401, 403, 404, 407), Outcome.LATER),
        ((400, 411, 413, 415, 422), Outcome.REFUSED),
    ],
)
def test_statuses_of_the_moment_and_of_the_address_are_waited_out(
    statuses: tuple[int, ...], outcome: Outcome
):
    """What is said of the body is final; a missing right or a wrong path is mended by somebody."""
    assert {Answer(status).outcome for status in statuses} == {outcome}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 24 Nov 2025 16:01:00 GMT", 60.0),
        ("Mon, 24 Nov 2025 15:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 400, 999_999_999.0),
        ("²", None),
    ],
)
def test_a_sink_says_when_to_come_back_in_two_forms(value: str, seconds: float | None):
    """Seconds, or a date; anything else says nothing."""
    assert retry_after(value, 1_764_000_000.0) == seconds


async def test_a_redirect_is_not_followed():
    """What is posted could be read by whoever is named there."""
    async with receiver() as server, receiver() as other:
        server.answers = [web.Response(status=307, headers={"Location": other.url})]
        poster = Poster(server.url, NOWHERE)
        answer = await poster.post({}, b"payload")
        await poster.close()
        assert (answer.status, answer.delivery().why) == (307, "status 307")
        assert other.posted == []


async def test_an_answer_is_read_up_to_a_limit_and_not_decompressed():
    """And the next post has a connection that works."""
    async with receiver() as server:
        server.answers = [
            web.Response(body=b"x" * (8 << 20)),
            web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
        ]
        poster = Poster(server.url, NOWHERE)
        assert len((await poster.post({}, b"1")).body) == MAX_ANSWER_BYTES
        assert (await poster.post({}, b"2")).body == b"no gzip"
        await poster.close()


async def test_cookies_are_not_kept():
    """Each post is for itself."""
    async with receiver() as server:
        server.answers = [web.Response(headers={"Set-Cookie": "a=b"})]
        poster = Poster(server.url.replace("127.0.0.1", "localhost"), NOWHERE)
        await poster.post({}, b"1")
        await poster.post({}, b"2")
        await poster.close()
        assert "Cookie" not in server.posted[1].headers


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/", "no connection"),
        ("http://name.invalid/", "name not found"),
        ("no address", "no answer"),
    ],
)
async def test_a_sink_that_is_not_there_is_said_in_our_words(url: str, why: str):
    """No address is in them."""
    poster = Poster(url, NOWHERE)
    with pytest.raises(PostError, match=f"^{why}$"):
        await poster.post({}, b"1")
    await poster.close()


async def test_tls_trusts_the_secrets_authority_and_shows_the_secrets_certificate(tmp_path: Path):
    """Mutual TLS; without the Secret the server is not trusted."""
    authority = new_authority()
    write_serving(tmp_path, authority)
    (tmp_path / "ca.crt").write_text(authority.certificate.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    context.load_verify_locations(tmp_path / "ca.crt")
    async with receiver(ssl_context=context) as server:
        address = server.url.replace("127.0.0.1", "localhost")
        stranger = Poster(address, NOWHERE)
        with pytest.raises(PostError, match=r"^TLS failed$"):
            await stranger.post({}, b"1")
        await stranger.close()
        known = Poster(address, CredentialsReader(tmp_path))
        assert (await known.post({}, b"2")).status == 200
        await known.close()
        assert [one.body for one in server.posted] == [b"2"]
